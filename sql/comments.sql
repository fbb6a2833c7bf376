-- What schema and tables are, for \d+ and for the tools of analysts.  A comment
-- on a table waits for the lock of whoever changes the table or vacuums it: so
-- these come when all else is done, each in a transaction of its own, which waits
-- for a lock while it holds none.  Others, such as maintain(), lock several of the
-- tables, in another order.  Functions and views, which the installation has
-- replaced and locked, bear theirs.

comment on schema iclock is
    'Attendance terminals served by ngx_http_iclock_module';

comment on table iclock.schema_version is 'Migrations applied to this schema';
comment on column iclock.schema_version.version is 'Number of the migration';
comment on column iclock.schema_version.description is 'What it brought';
comment on column iclock.schema_version.applied_at is 'When it was applied';

comment on table iclock.device is
'Attendance terminals. Columns from delay to command_limit override directives of nginx for one device; NULL leaves it to the directive. A device that has punches cannot be deleted, only blocked.';
comment on column iclock.device.id is 'Key within the database; never changes';
comment on column iclock.device.serial_number is 'Serial number, as the device sends it';
comment on column iclock.device.status is 'pending: seen, waits for approval; active: served; blocked: refused';
comment on column iclock.device.name is 'Name for people';
comment on column iclock.device.site is 'Where the device stands';
comment on column iclock.device.timezone is 'IANA time zone of its clock; NULL: as directive iclock_timezone. Applies to punches that arrive from now on';
comment on column iclock.device.comm_key is 'Communication key it has to present; NULL: as directive iclock_comm_key';
comment on column iclock.device.allowed_networks is 'Networks it may connect from; NULL: any, empty: none';
comment on column iclock.device.encoding is 'Encoding of its texts, such as UTF-8, GB18030 or WINDOWS-1251; NULL: by its language';
comment on column iclock.device.dialect is 'Meaning of its codes and form of its commands: 2.4 (firmware of today) or 3.2 (old firmware, push SDK 3.2.0)';
comment on column iclock.device.delay is 'Seconds between polls';
comment on column iclock.device.error_delay is 'Seconds to wait after an error';
comment on column iclock.device.trans_times is 'Times of the day at which it uploads, as 00:00;14:05';
comment on column iclock.device.trans_interval is 'Minutes between checks for new data';
comment on column iclock.device.trans_flag is 'What it uploads, written as directive iclock_trans_flag: tabs, spaces or bits, then the words';
comment on column iclock.device.realtime is 'Whether it uploads each record at once';
comment on column iclock.device.send_timezone is 'Whether handshakes send it its time zone, by which it sets its clock';
comment on column iclock.device.bare_stamps is 'Whether handshakes also send it the old names Stamp, OpStamp and PhotoStamp';
comment on column iclock.device.push_options is 'Options that handshakes ask it to report';
comment on column iclock.device.multi_bio_data is 'Kinds of templates that handshakes ask it for (MultiBioDataSupport)';
comment on column iclock.device.multi_bio_photo is 'Kinds of comparison photos that handshakes ask it for (MultiBioPhotoSupport)';
comment on column iclock.device.max_push_version is 'Highest protocol version that nginx offers it';
comment on column iclock.device.command_limit is 'Most commands that it gets in one poll; only lowers the limit of the directive';
comment on column iclock.device.push_version is 'Protocol version it speaks';
comment on column iclock.device.firmware is 'Firmware version it reports';
comment on column iclock.device.language is 'Language it reports: 69 English, 83 simplified Chinese, ...';
comment on column iclock.device.ip_address is 'Its own address, as it reports it';
comment on column iclock.device.remote_address is 'Address it connected from: its own, or that of a router or proxy; written when last_seen is, device_presence.address is exact';
comment on column iclock.device.user_count is 'Users it reports to hold; -1: not reported';
comment on column iclock.device.fingerprint_count is 'Fingerprints it reports to hold; -1: not reported';
comment on column iclock.device.face_count is 'Faces it reports to hold; -1: not reported';
comment on column iclock.device.punch_count is 'Punches it reports to hold; -1: not reported';
comment on column iclock.device.fingerprint_version is 'Version of its fingerprint algorithm';
comment on column iclock.device.face_version is 'Version of its face algorithm';
comment on column iclock.device.multi_bio_version is 'Versions of its algorithms by biometric type, 0 to 9, as it reports them (MultiBioVersion)';
comment on column iclock.device.multi_bio_data_count is 'Templates in it by biometric type, as it reports them (MultiBioDataCount)';
comment on column iclock.device.multi_bio_photo_count is 'Comparison photos in it by biometric type, as it reports them (MultiBioPhotoCount)';
comment on column iclock.device.first_seen is 'When it first connected';
comment on column iclock.device.last_seen is 'When it last called, up to some five minutes behind: device_presence.last_seen and device_status.last_seen are exact';
comment on column iclock.device.updated_at is 'When its configuration last changed';
comment on column iclock.device.command_bytes is 'Most bytes of commands that it gets in one poll, for lines that are slow or paid by the byte (10240 for GPRS); only lowers the limit of the directive';
comment on column iclock.device.site_since is 'Since when the device has stood at its site, on its clock; set by move_device()';
comment on column iclock.device.location is 'Where at its site it hangs, for people: "Building A, floor 1"';
comment on column iclock.device.sandbox is 'Simulated: test keys of the API see it, live keys never do';
comment on column iclock.device.removed_at is 'When it was removed by way of the API: blocked, and hidden there, because its punches stay; letting it in again takes this back';
comment on column iclock.device.default_timezone is 'Time zone of the nginx location it last shook hands at (directive iclock_timezone); counts where timezone is NULL';
comment on column iclock.device.told_offset is 'Minutes east of UTC that its last handshake sent, or that nginx has made it ask for; NULL: none, it leaves its clock alone';
comment on column iclock.device.recognized_dialect is 'Dialect that the protocol version of the device makes certain; NULL: none';
comment on column iclock.device.told_delay is 'Seconds between two calls that its last handshake told it; NULL: none since then';
comment on column iclock.device.status_since is 'Since when it has this status; NULL: for longer than that has been noted';
comment on column iclock.device.status_by is 'Who gave it this status: a role, or api: and the name of a key';
comment on column iclock.device.muted_until is 'Until then nobody need see to it: in repair, in a box';
comment on column iclock.device.note is 'What people should know of it';
comment on column iclock.device.dialect_chosen is 'Whether an operator has set the dialect; else it is the recognized one, or 2.4';

comment on table iclock.device_presence is 'When and from where devices last called; written every iclock_presence_interval';
comment on column iclock.device_presence.device_id is 'Device';
comment on column iclock.device_presence.last_seen is 'When it last called';
comment on column iclock.device_presence.address is 'Address it last connected from: its own, or that of a router or proxy';

comment on table iclock.device_option is 'Options that devices reported; view device_setting shows those that are no secrets';
comment on column iclock.device_option.device_id is 'Device';
comment on column iclock.device_option.name is 'Name of the option, without a leading ~';
comment on column iclock.device_option.value is 'Value as reported';
comment on column iclock.device_option.updated_at is 'When it was reported';

comment on table iclock.upload_stamp is 'How far the uploads of a device have come, in its own terms';
comment on column iclock.upload_stamp.device_id is 'Device';
comment on column iclock.upload_stamp.table_name is 'Table of the protocol: ATTLOG, OPERLOG, ATTPHOTO, ...';
comment on column iclock.upload_stamp.stamp is 'Stamp last sent by the device and given back to it at the handshake; 0 asks for everything again';
comment on column iclock.upload_stamp.updated_at is 'When it was stored';
comment on column iclock.upload_stamp.requested is 'It was set by request_reupload() and not read by the device yet: uploads leave it as it is until then';

comment on table iclock.punch is
'Punches, partitioned by month of local_time; iclock.maintain() creates the partitions. Restrict local_time in queries: that picks the partitions. There is no foreign key to device, for speed of inserts: a trigger keeps devices that have punches. Uploading a punch again stores nothing.';
comment on column iclock.punch.device_id is 'Device, iclock.device.id';
comment on column iclock.punch.local_time is 'Date and time shown by the device';
comment on column iclock.punch.pin is 'User: PIN on the device, not always a number';
comment on column iclock.punch.status is 'Kind of punch, see status_label; 255: none chosen, -1: not sent';
comment on column iclock.punch.verify is 'How the user was verified, see verify_label; -1: not sent';
comment on column iclock.punch.punched_at is 'local_time in the time zone the device had when the punch arrived, by the rules of PostgreSQL''s AT TIME ZONE: a time that occurs twice when clocks are set back is taken for the second (standard time), one that is skipped when clocks are set forward for the time as if they had not been';
comment on column iclock.punch.work_code is 'Work code entered with the punch';
comment on column iclock.punch.id_number is 'Identity number, of terminals that read identity cards; for members of iclock_reader_cards';
comment on column iclock.punch.record_type is 'Record type of such terminals; -1: not sent';
comment on column iclock.punch.mask is 'Whether a mask was worn: 1 yes, 0 no, -1 not sent';
comment on column iclock.punch.temperature is 'Body temperature as sent';
comment on column iclock.punch.job_codes is 'Job codes (push SDK 3.2.0)';
comment on column iclock.punch.tip_codes is 'Tip codes (push SDK 3.2.0)';
comment on column iclock.punch.extra is 'Every column after the seventh, as sent: firmwares disagree on their meaning';
comment on column iclock.punch.received_at is 'When it was stored. For fetching what is new: transactions commit out of order, so read again from some minutes before the last value';
comment on column iclock.punch.txid is 'Number of the transaction that stored it, for punches_since(); 0 if it is older than this column';

comment on table iclock.punch_default is
'Punches of months without a partition: clocks that are years off. Those within the last ten years and the next three months are moved by iclock.maintain()';

comment on table iclock.operation is 'What administrators did at devices, and events of the devices (OPLOG)';
comment on column iclock.operation.device_id is 'Device';
comment on column iclock.operation.local_time is 'Date and time shown by the device';
comment on column iclock.operation.code is 'Operation code: 0 startup, 1 shutdown, 3 alarm, 5 setting changed, 30 user enrolled, ...';
comment on column iclock.operation.operator is 'PIN of the administrator';
comment on column iclock.operation.object1 is 'First object: mostly the user or the setting';
comment on column iclock.operation.object2 is 'Second object';
comment on column iclock.operation.object3 is 'Third object';
comment on column iclock.operation.object4 is 'Fourth object';
comment on column iclock.operation.operated_at is 'local_time in the time zone of the device, see punch.punched_at';
comment on column iclock.operation.received_at is 'When it was stored';

comment on table iclock.device_user is 'Users as devices reported them';
comment on column iclock.device_user.device_id is 'Device';
comment on column iclock.device_user.pin is 'PIN: the number the user punches with';
comment on column iclock.device_user.name is 'Name';
comment on column iclock.device_user.privilege is '0 user, 2 registrar, 6 administrator, 14 super administrator; -1: not sent';
comment on column iclock.device_user.password is 'Password on the device; not for readers';
comment on column iclock.device_user.card is 'Card number as sent: decimal, or [hexadecimal], lowest byte first';
comment on column iclock.device_user.access_group is 'Access group; -1: not sent';
comment on column iclock.device_user.time_zone is 'Access time periods, 16 digits';
comment on column iclock.device_user.verify is 'How the user has to be verified; -1: as the group, or not sent';
comment on column iclock.device_user.vice_card is 'Second card';
comment on column iclock.device_user.starts_at is 'Valid from, by the device''s clock; -infinity: without limit, NULL: the device has not said';
comment on column iclock.device_user.ends_at is 'Valid until, by the device''s clock; infinity: without limit, NULL: the device has not said';
comment on column iclock.device_user.updated_at is 'When it was last reported';

comment on table iclock.template is 'Biometric templates';
comment on column iclock.template.device_id is 'Device';
comment on column iclock.template.pin is 'User';
comment on column iclock.template.type is '1 fingerprint, 2 near-infrared face, 3 voice, 4 iris, 5 retina, 6 palm print, 7 finger vein, 8 palm vein, 9 visible light face';
comment on column iclock.template.no is 'Number of the finger, eye or hand';
comment on column iclock.template.index is 'Which of several templates of it';
comment on column iclock.template.major_version is 'Version of the algorithm; templates of others are of no use to a device';
comment on column iclock.template.minor_version is 'Its minor version';
comment on column iclock.template.format is 'Format of the data';
comment on column iclock.template.valid is '1: in use';
comment on column iclock.template.duress is '1: signals duress';
comment on column iclock.template.source is 'Record it came in: FP, FACE, FVEIN, BIODATA';
comment on column iclock.template.data is 'The template, decoded; not for readers';
comment on column iclock.template.updated_at is 'When it was last reported';

comment on table iclock.photo is 'Photos taken at punches, of users, and for comparison';
comment on column iclock.photo.device_id is 'Device';
comment on column iclock.photo.kind is 'attendance: taken at a punch; user: portrait; comparison: for face recognition';
comment on column iclock.photo.file_name is 'File name given by the device';
comment on column iclock.photo.pin is 'User; empty: not verified';
comment on column iclock.photo.taken_at is 'When it was taken, by the device''s clock';
comment on column iclock.photo.result is 'Result of the verification; -1: not sent';
comment on column iclock.photo.type is 'Biometric type; -1: not sent';
comment on column iclock.photo.id_number is 'Identity number, of terminals that read identity cards';
comment on column iclock.photo.content is 'The picture; not for readers';
comment on column iclock.photo.received_at is 'When it was stored';

comment on table iclock.identity_card is 'Identity cards read by devices; for members of iclock_reader_cards';
comment on column iclock.identity_card.device_id is 'Device';
comment on column iclock.identity_card.id_number is 'Citizen identity number';
comment on column iclock.identity_card.pin is 'User; 0: not bound to one';
comment on column iclock.identity_card.sn_number is 'Physical card number';
comment on column iclock.identity_card.dn_number is 'Card body management number';
comment on column iclock.identity_card.name is 'Name';
comment on column iclock.identity_card.gender is '1 male, 2 female; -1: not sent';
comment on column iclock.identity_card.nation is 'Ethnic code; -1: not sent';
comment on column iclock.identity_card.birthday is 'Date of birth, yyyymmdd';
comment on column iclock.identity_card.valid_info is 'Valid from and until, yyyymmddyyyymmdd';
comment on column iclock.identity_card.address is 'Address';
comment on column iclock.identity_card.additional_info is 'Additional address';
comment on column iclock.identity_card.issuer is 'Issuing authority';
comment on column iclock.identity_card.photo is 'Photo stored on the card; not for readers';
comment on column iclock.identity_card.fp_template1 is 'First fingerprint; not for readers';
comment on column iclock.identity_card.fp_template2 is 'Second fingerprint; not for readers';
comment on column iclock.identity_card.reserve is 'Reserved field';
comment on column iclock.identity_card.notice is 'Note';
comment on column iclock.identity_card.updated_at is 'When it was first reported as it is';

comment on table iclock.work_code is 'Work codes of devices';
comment on column iclock.work_code.device_id is 'Device';
comment on column iclock.work_code.code is 'Code, punch.work_code';
comment on column iclock.work_code.name is 'Name';
comment on column iclock.work_code.pin is 'PIN field of the record';
comment on column iclock.work_code.updated_at is 'When it was last reported';

comment on table iclock.device_error is
'Errors that devices reported (ERRORLOG). The records bear no time: the same one is kept once a day (UTC)';
comment on column iclock.device_error.id is 'Key';
comment on column iclock.device_error.device_id is 'Device';
comment on column iclock.device_error.code is 'Error code, as D01E0001 face detection failed';
comment on column iclock.device_error.message is 'Message';
comment on column iclock.device_error.origin is 'dev: data of the device, cmd: data sent to it';
comment on column iclock.device_error.command_id is 'Number of the command, as the device knows it';
comment on column iclock.device_error.additional is 'Additional information as sent, mostly base64 of JSON';
comment on column iclock.device_error.received_at is 'When it was stored';

comment on table iclock.rejected_line is
'Lines of devices that could not be stored: kept here once and acknowledged, because a device sends what was refused again for ever';
comment on column iclock.rejected_line.id is 'Key';
comment on column iclock.rejected_line.device_id is 'Device';
comment on column iclock.rejected_line.table_name is 'Table of the protocol it was sent for';
comment on column iclock.rejected_line.line is 'The bytes as received; not for readers';
comment on column iclock.rejected_line.reason is 'Why it was rejected';
comment on column iclock.rejected_line.received_at is 'When it was stored';

comment on table iclock.command is 'Commands for devices, queued by functions as queue_command(); view command_status is for reading';
comment on column iclock.command.id is 'Key; the device knows the command by id % 1000000000';
comment on column iclock.command.device_id is 'Device';
comment on column iclock.command.body is 'The command: one line, fields separated by TAB; not for readers';
comment on column iclock.command.status is 'queued; sent: given to the device; done and failed: answered, or failed for want of an answer (return_code is null); expired; cancelled';
comment on column iclock.command.priority is 'Higher goes first; equal ones in order of id';
comment on column iclock.command.not_before is 'Not given to the device earlier';
comment on column iclock.command.expires_at is 'Not given to the device later';
comment on column iclock.command.attempts is 'How often it was given to the device';
comment on column iclock.command.return_code is 'What the device answered: 0 success (for queries and files also a count or size), -1002 and -1004 not supported, ...';
comment on column iclock.command.reply is 'What the device answered besides; not for readers';
comment on column iclock.command.created_at is 'When it was queued';
comment on column iclock.command.created_by is 'Who queued it: a role, that of SET ROLE or else the login, or api: and the name of a key';
comment on column iclock.command.sent_at is 'When it was last given to the device';
comment on column iclock.command.finished_at is 'When it got its final status';
comment on column iclock.command.cleared_at is 'When what may be secret in the body was taken out';
comment on column iclock.command.subject is 'What it is about, a path separated by TABs: user, PIN, template, type, number, ... Only the newest command about a subject counts. NULL: a deed, such as REBOOT';
comment on column iclock.command.deletes is 'Whether it deletes its subject, and with it all that is part of it';
comment on column iclock.command.copied is 'Whether the fleet functions sent it: what a device keeps by it is not sent on';
comment on column iclock.command.reason is 'Why it was cancelled, if nobody did it: "superseded by command 123"';
comment on column iclock.command.poll is 'Number of the request that took it last';

comment on table iclock.verify_label is 'Meaning of punch.verify by dialect; you may add and change rows';
comment on column iclock.verify_label.dialect is 'device.dialect';
comment on column iclock.verify_label.code is 'punch.verify';
comment on column iclock.verify_label.label is 'Meaning';
comment on column iclock.verify_label.record_type is '1: of records of identity verification, 0: of all others';

comment on table iclock.status_label is 'Meaning of punch.status by dialect; you may add and change rows';
comment on column iclock.status_label.dialect is 'device.dialect';
comment on column iclock.status_label.code is 'punch.status';
comment on column iclock.status_label.label is 'Meaning';
comment on column iclock.status_label.direction is 'in: the user comes, out: the user goes; NULL: neither';
comment on column iclock.status_label.record_type is '1: of records of identity verification, 0: of all others';

comment on table iclock.command_result_label is
'Meaning of command.return_code; rows may be added and changed. Of several the one with the longest command counts';
comment on column iclock.command_result_label.dialect is 'device.dialect; empty: any';
comment on column iclock.command_result_label.command is 'Beginning of the command; empty: any';
comment on column iclock.command_result_label.code is 'command.return_code';
comment on column iclock.command_result_label.label is 'Meaning';

comment on table iclock.refused_answer is
'Devices that answered commands they were never given: the answers of another device, or of one that took over its serial number';
comment on column iclock.refused_answer.device_id is 'Device that answered';
comment on column iclock.refused_answer.answers is 'How often; the same answer repeated at once counts once';
comment on column iclock.refused_answer.command_id is 'Command of the last such answer';
comment on column iclock.refused_answer.return_code is 'Return code of the last such answer';
comment on column iclock.refused_answer.first_at is 'When it first happened';
comment on column iclock.refused_answer.last_at is 'When it last happened';

comment on table iclock.site is 'Switches of sites; a site needs no row here';
comment on column iclock.site.name is 'Name, device.site';
comment on column iclock.site.share_people is 'Whether a person enrolled on one terminal of the site is sent to all others';
comment on column iclock.site.updated_at is 'When a switch was last set';
comment on column iclock.site.day_starts is 'When a day of shift_attendance starts: noon for shifts from 22:00 to 06:00';
comment on column iclock.site.double_punch_interval is 'A punch sooner after the last that counted of the same person is a double one, if it has the same direction: it is stored, and left out of the days. At most an hour';

comment on table iclock.upgrade is 'Files that devices may fetch because of UPGRADE commands';
comment on column iclock.upgrade.command_id is 'The command';
comment on column iclock.upgrade.url is 'Address in the command, which the device sends back';
comment on column iclock.upgrade.path is 'File, below the directory of directive iclock_files';
comment on column iclock.upgrade.encoding is 'base64: served as base64 text; raw: as it is';

comment on table iclock.attendance_check is 'Reconciliations of the punches stored with those on the device; view reconciliation is for reading';
comment on column iclock.attendance_check.id is 'Key';
comment on column iclock.attendance_check.device_id is 'Device';
comment on column iclock.attendance_check.starts is 'Beginning of the range, by the device''s clock';
comment on column iclock.attendance_check.ends is 'End of the range, inclusive';
comment on column iclock.attendance_check.status is 'asking: the device is asked how many punches it holds; filling: it uploads the range again; agreed: both hold as many; surplus: the table holds more, the device deleted some; differs: the device still holds more after all attempts; failed: no answer, or the device cannot tell, or drop_before() has dropped punches of the range meanwhile';
comment on column iclock.attendance_check.attempts is 'How often the range was uploaded again';
comment on column iclock.attendance_check.max_attempts is 'How often at most';
comment on column iclock.attendance_check.device_count is 'Punches on the device when it was last asked';
comment on column iclock.attendance_check.stored_count is 'Punches in the table then';
comment on column iclock.attendance_check.command_id is 'Command it waits for, or waited for last';
comment on column iclock.attendance_check.created_at is 'When it was queued';
comment on column iclock.attendance_check.created_by is 'Who queued it: a role, that of SET ROLE or else the login, or api: and the name of a key';
comment on column iclock.attendance_check.finished_at is 'When it came to its end';

comment on table iclock.job is 'What is done at intervals';
comment on column iclock.job.name is 'Name';
comment on column iclock.job.last_run_at is 'When it was last done';

comment on table iclock.removed_person is
'People whom delete_user_from_site() has removed. What a terminal that was away uploads of them does not spread, and is deleted there. readmit_user(), put_user(), copy_user() and the enrolling commands end it, and enrolling at a terminal that had deleted them ten minutes before, or that was not at the site then';
comment on column iclock.removed_person.site is 'Site';
comment on column iclock.removed_person.pin is 'User';
comment on column iclock.removed_person.removed_at is 'When';
comment on column iclock.removed_person.removed_by is 'Who asked for it';
comment on column iclock.removed_person.terminals is 'Those of the site then: what others upload is not of before';

comment on table iclock.removed_from is 'Terminals that have deleted them: what those upload later is new';
comment on column iclock.removed_from.device_id is 'Terminal';
comment on column iclock.removed_from.pin is 'User';
comment on column iclock.removed_from.deleted_at is 'When it said so';

comment on table iclock.share_backlog is 'People still to be sent to a terminal, after an upload of many: some at each poll';
comment on column iclock.share_backlog.target_id is 'Terminal that gets them';
comment on column iclock.share_backlog.source_id is 'Terminal that has them';
comment on column iclock.share_backlog.pin is 'User';

comment on table iclock.device_site is 'Where devices stood before they were moved';
comment on column iclock.device_site.device_id is 'Device';
comment on column iclock.device_site.starts is 'First moment there, on the clock of the device';
comment on column iclock.device_site.ends is 'First moment elsewhere';
comment on column iclock.device_site.site is 'Site; NULL: none';

comment on table iclock.label is 'Meaning of all other codes by dialect; you may add and change rows';
comment on column iclock.label.kind is 'operation, operation object 1 to 3 (by the code of the operation), alarm, language, error, error generator, error module, error origin, photo result, biometric type, gender, nation';
comment on column iclock.label.dialect is 'device.dialect';
comment on column iclock.label.code is 'Code as devices send it';
comment on column iclock.label.label is 'Meaning';

comment on table iclock.role_site is 'Sites that a role is limited to: one row for each. A role without rows sees all';
comment on column iclock.role_site.role is 'Role; its members are limited as well';
comment on column iclock.role_site.site is 'Site, device.site';
comment on column iclock.role_site.role_oid is 'Its OID, by which it is known if it gets another name; NULL: it was missing';
comment on column iclock.role_site.cluster is 'Identifier of the cluster that the OID belongs to';

comment on table iclock.maintenance is 'What maintain() remembers from one call to the next';
comment on column iclock.maintenance.task is 'What is done';
comment on column iclock.maintenance.failures is 'How often in a row a lock was not to be had';
comment on column iclock.maintenance.not_before is 'Not tried again before that';
comment on column iclock.maintenance.step_rows is 'How many punches are moved at a time, so that it takes about half a second';

comment on table iclock.punch_state is 'One row: what drop_before() has dropped, and how transactions are numbered';
comment on column iclock.punch_state.single is 'There is only one row';
comment on column iclock.punch_state.dropped is 'Local times that drop_before() has dropped: punches of these are not stored';
comment on column iclock.punch_state.dropping is 'Partitions that drop_before() is still to drop, since somebody uses them; one that is attached later is not among them';
comment on column iclock.punch_state.txid_base is 'What is added to the number of a transaction, since a dump was restored';
comment on column iclock.punch_state.cluster is 'Identifier of the cluster whose transactions are numbered so';

comment on table iclock.retention is 'How long things are kept after they have ended or arrived; change the ages with UPDATE';
comment on column iclock.retention.kind is 'command, photo (attendance photos only), operation, rejected_line, device_error, event, webhook_attempt, webhook_dead (events that were given up): the rows; command_body: what may be secret in finished commands; unanswered_body: the same of commands that were sent and never answered';
comment on column iclock.retention.age is 'How long; NULL: for ever';
comment on column iclock.retention.done_until is 'Commands that ended before that have been seen to, but for those of skipped_at';
comment on column iclock.retention.skipped_at is 'When the first command ended that somebody had locked then: maintain() comes back to it';

comment on table iclock.api_key is 'Keys of the API: see create_api_key() and api_key_status';
comment on column iclock.api_key.id is 'The third part of its text';
comment on column iclock.api_key.hash is 'SHA-256 of its text, which is kept nowhere';
comment on column iclock.api_key.name is 'Name for people';
comment on column iclock.api_key.mode is 'live, or test: sees devices of the sandbox alone';
comment on column iclock.api_key.scopes is 'What it may do';
comment on column iclock.api_key.sites is 'Sites it may see; NULL: all';
comment on column iclock.api_key.devices is 'Serial numbers of devices it may see; NULL: all';
comment on column iclock.api_key.rate is 'Requests a minute; NULL: as directive iclock_api_rate';
comment on column iclock.api_key.burst is 'Requests at once; NULL: as directive iclock_api_rate';
comment on column iclock.api_key.allowed_networks is 'Networks it may be used from; NULL: any, empty: none';
comment on column iclock.api_key.expires_at is 'When it ends; NULL: never';
comment on column iclock.api_key.created_at is 'When it was made';
comment on column iclock.api_key.created_by is 'Role that made it: that of SET ROLE, or else the login';
comment on column iclock.api_key.revoked_at is 'When it was revoked';
comment on column iclock.api_key.replaced_by is 'Key that takes its place: rotate_api_key()';
comment on column iclock.api_key.last_used_at is 'When it was last used, up to a minute behind';
comment on column iclock.api_key.last_used_address is 'Where it was used from then';

comment on table iclock.api_idempotency is 'Answers to requests with an Idempotency-Key, for a day';
comment on column iclock.api_idempotency.key_id is 'Key that asked';
comment on column iclock.api_idempotency.idempotency_key is 'What it called the request';
comment on column iclock.api_idempotency.fingerprint is 'SHA-256 of method, path and body: another request may not have the same name';
comment on column iclock.api_idempotency.status is 'Status of the answer';
comment on column iclock.api_idempotency.headers is 'Its headers';
comment on column iclock.api_idempotency.body is 'Its body';
comment on column iclock.api_idempotency.meta is 'What nginx was told besides, such as the problem';
comment on column iclock.api_idempotency.created_at is 'When it was answered';

comment on table iclock.api_audit is 'What was written by way of the API, and who read templates, for 90 days';
comment on column iclock.api_audit.id is 'Key';
comment on column iclock.api_audit.at is 'When';
comment on column iclock.api_audit.key_id is 'Key that was used';
comment on column iclock.api_audit.operation is 'What was asked for: the function of schema iclock_api';
comment on column iclock.api_audit.target is 'What it was about, as the path of the request says, or what was made: serial number, user, command, webhook; NULL: many';
comment on column iclock.api_audit.status is 'Status of the answer';
comment on column iclock.api_audit.address is 'Where the request came from';
comment on column iclock.api_audit.request_id is 'X-Request-Id of the answer';

comment on table iclock.stream_token is 'Tokens by which a browser opens the stream of events: for a minute, once';
comment on column iclock.stream_token.token_hash is 'SHA-256 of the token';
comment on column iclock.stream_token.key_id is 'Key that asked for it';
comment on column iclock.stream_token.expires_at is 'When it ends';
comment on column iclock.stream_token.used_at is 'When it was used';
comment on table iclock.event_type is 'Types of events';
comment on column iclock.event_type.code is 'event.type';
comment on column iclock.event_type.name is 'What readers see';
comment on column iclock.event_type.description is 'What has happened';

comment on table iclock.event is 'The event feed, a partition for each day: read it by read_events()';
comment on column iclock.event.seq is 'Number, in the order of inserts';
comment on column iclock.event.xid is 'Transaction that wrote it: (xid, seq) is its place';
comment on column iclock.event.created_at is 'When it was stored';
comment on column iclock.event.device_id is 'Device, if it concerns one';
comment on column iclock.event.local_time is 'Punches: of the key of the punch; photos: when it was taken';
comment on column iclock.event.status is 'Punches: of the key of the punch; templates: their type; 1 of a simulated device that was deleted';
comment on column iclock.event.verify is 'Punches: of the key of the punch; templates: their number';
comment on column iclock.event.type is 'event_type.code';
comment on column iclock.event.pin is 'Person, if it concerns one';
comment on column iclock.event.data is 'What the payload says besides; a device that was deleted';
comment on table iclock.event_default is 'Events of days without a partition';

comment on table iclock.event_state is 'One row: whether events are written, and what became of old ones';
comment on column iclock.event_state.single is 'There is only one row';
comment on column iclock.event_state.enabled is 'Whether they are written';
comment on column iclock.event_state.enabled_at is 'Since when';
comment on column iclock.event_state.watched_at is 'When silent devices were last looked for';
comment on column iclock.event_state.watched_since is 'Since when that was done without a pause';
comment on column iclock.event_state.dropped_xid is 'Place of the newest event that is not kept any more';
comment on column iclock.event_state.dropped_seq is 'The same';
comment on column iclock.event_state.rebased_seq is 'Cursors up to this event have another first part now: until 0.3.0 a dump that was restored into another cluster had its events renumbered';
comment on column iclock.event_state.xid_base is 'What is added to the number of a transaction, since a dump was restored';
comment on column iclock.event_state.cluster is 'Cluster whose transactions these are';

comment on table iclock.device_silence is 'Devices that were reported to be offline';
comment on column iclock.device_silence.device_id is 'Device';
comment on column iclock.device_silence.since is 'When it was last seen';

comment on table iclock.webhook_endpoint is 'Addresses that get events by HTTP; views and functions show and set them, the secrets are for nginx';
comment on column iclock.webhook_endpoint.id is 'Name: wh_ and twelve characters';
comment on column iclock.webhook_endpoint.url is 'Where it leads';
comment on column iclock.webhook_endpoint.description is 'What somebody wrote about it';
comment on column iclock.webhook_endpoint.types is 'Types of events that it gets, event_type.code; NULL: all';
comment on column iclock.webhook_endpoint.sites is 'Sites whose events it gets; NULL: all';
comment on column iclock.webhook_endpoint.devices is 'Serial numbers of the devices whose events it gets; NULL: all';
comment on column iclock.webhook_endpoint.mode is 'live, or test: events of simulated devices only';
comment on column iclock.webhook_endpoint.status is 'active, failing, paused, disabled';
comment on column iclock.webhook_endpoint.status_reason is 'Why';
comment on column iclock.webhook_endpoint.enabled is 'Events are sent: it is active or failing';
comment on column iclock.webhook_endpoint.secret is 'Signs requests; receivers write it as whsec_ and base64. More than 64 bytes: sealed by a key of iclock_secret_key';
comment on column iclock.webhook_endpoint.previous_secret is 'Signs them, too, after a rotation';
comment on column iclock.webhook_endpoint.previous_until is 'Until when';
comment on column iclock.webhook_endpoint.ordered is 'Events go out one by one, in their order';
comment on column iclock.webhook_endpoint.concurrency is 'Requests at a time';
comment on column iclock.webhook_endpoint.batch is 'Events in a request';
comment on column iclock.webhook_endpoint.headers is 'Headers of its requests, which may be secret';
comment on column iclock.webhook_endpoint.body is 'Template of their bodies; NULL: the payload as it is';
comment on column iclock.webhook_endpoint.cursor_xid is 'All events up to this transaction';
comment on column iclock.webhook_endpoint.cursor_seq is 'and number have been delivered, are dead, or stand in webhook_retry';
comment on column iclock.webhook_endpoint.failing_since is 'First failure since it last succeeded';
comment on column iclock.webhook_endpoint.failures is 'Failures in a row';
comment on column iclock.webhook_endpoint.probes is 'Step of the schedule, while it is failing';
comment on column iclock.webhook_endpoint.probing is 'A sender is trying it';
comment on column iclock.webhook_endpoint.choosy is 'It answers, and has refused a few events only: new ones may be tried at once';
comment on column iclock.webhook_endpoint.next_probe_at is 'Nothing is sent before';
comment on column iclock.webhook_endpoint.leased_by is 'Sender that delivers to it';
comment on column iclock.webhook_endpoint.leased_until is 'When another one may take over';
comment on column iclock.webhook_endpoint.key_id is 'API key that made it; NULL: an operator';
comment on column iclock.webhook_endpoint.created_at is 'When it was made';
comment on column iclock.webhook_endpoint.created_by is 'By which role';

comment on table iclock.webhook_retry is 'Events that an endpoint has refused, or is to get again';
comment on column iclock.webhook_retry.endpoint_id is 'Endpoint';
comment on column iclock.webhook_retry.xid is 'Event: its transaction';
comment on column iclock.webhook_retry.seq is 'and number';
comment on column iclock.webhook_retry.state is 'retrying; resend: somebody has asked for it; dead: given up';
comment on column iclock.webhook_retry.attempts is 'How often it was sent';
comment on column iclock.webhook_retry.first_at is 'First attempt, from which its day counts: another one when it is asked for anew, or has waited in an order';
comment on column iclock.webhook_retry.next_at is 'Next attempt; of dead ones, when they were given up';
comment on column iclock.webhook_retry.taken is 'A sender has it, since it was asked for';
comment on column iclock.webhook_retry.last_status is 'Last answer; NULL: none';
comment on column iclock.webhook_retry.last_error is 'What went wrong then';
comment on column iclock.webhook_retry.type is 'Type of the event';
comment on column iclock.webhook_retry.payload is 'What is sent: the feed may forget the event before';

comment on table iclock.webhook_attempt is 'Requests to endpoints, for seven days: one row for each event in them';
comment on column iclock.webhook_attempt.endpoint_id is 'Endpoint';
comment on column iclock.webhook_attempt.event_id is 'Event';
comment on column iclock.webhook_attempt.attempt is 'Number of the attempt, from 1';
comment on column iclock.webhook_attempt.at is 'When it ended';
comment on column iclock.webhook_attempt.duration_ms is 'Milliseconds that it took';
comment on column iclock.webhook_attempt.status is 'Answer; NULL: none';
comment on column iclock.webhook_attempt.error is 'What went wrong';
comment on column iclock.webhook_attempt.response is 'First kilobyte of the answer';
comment on column iclock.webhook_attempt.id is 'In the order in which they were written';

comment on table iclock.webhook_attempt_default is 'Attempts of days that have no partition';

comment on table iclock.person is 'What is known of people besides what terminals hold; the API writes it';
comment on column iclock.person.site is 'Site; empty: the terminals without one';
comment on column iclock.person.pin is 'User: PIN on the terminals of the site';
comment on column iclock.person.sandbox is 'Of simulated terminals: another person than who has the PIN elsewhere';
comment on column iclock.person.name is 'Name, also where a terminal cuts it off; NULL: not known';
comment on column iclock.person.department is 'Department, which terminals do not know';
comment on column iclock.person.attributes is 'For other programs';
comment on column iclock.person.created_at is 'When it was stored first';
comment on column iclock.person.updated_at is 'When it changed last';
comment on column iclock.person.removed_at is 'When it was asked to remove the person from all terminals; the row goes when that has happened';

comment on table iclock.condition is 'What can be wrong with a device, in the order in which it is shown, and from when on; a site may change warn_after and params';
comment on column iclock.condition.name is 'Condition, as device_conditions() names it';
comment on column iclock.condition.position is 'Of several the first one is shown';
comment on column iclock.condition.warn_after is 'For how long it has to hold until somebody should see to it; NULL: nobody need';
comment on column iclock.condition.params is 'Thresholds: within, after and skew are times such as "24 hours", ratio is a part of 1 such as 0.9, punches and weeks are numbers; one that is missing is as a new schema has it';

comment on table iclock.device_refusal is 'Why devices were last refused that nobody has blocked; written with device_presence';
comment on column iclock.device_refusal.device_id is 'Device';
comment on column iclock.device_refusal.reason is 'key: it has another communication key; network: its address is none of those allowed';
comment on column iclock.device_refusal.first_at is 'When it was first refused for this, since it was last served';
comment on column iclock.device_refusal.last_at is 'When it was last refused';
comment on column iclock.device_refusal.address is 'Address it called from then';

comment on table iclock.device_pulse is 'What the last punches of devices tell; tally_punches() writes it each minute';
comment on column iclock.device_pulse.device_id is 'Device';
comment on column iclock.device_pulse.last_local_time is 'Its last punch, on its clock; NULL: it has none';
comment on column iclock.device_pulse.last_punch_at is 'The moment of that punch';
comment on column iclock.device_pulse.clock_skew is 'How far its clock is ahead (negative: behind); NULL: not known';
comment on column iclock.device_pulse.skew_at is 'When the punches that tell so were stored';
comment on column iclock.device_pulse.skew_since is 'Since when the clock has been wrong; NULL: it is not';
comment on column iclock.device_pulse.quiet_since is 'Since when it has been known that no punches come today; NULL: it is not quiet';
comment on column iclock.device_pulse.quiet_usual is 'How many there are by this hour on such days';

comment on table iclock.device_day is 'Punches of devices by day and hour of their clocks, for five weeks';
comment on column iclock.device_day.day is 'Day';
comment on column iclock.device_day.device_id is 'Device';
comment on column iclock.device_day.hours is 'Punches of each of the 24 hours';

comment on table iclock.punch_rate is 'Punches stored in each five minutes of the last day';
comment on column iclock.punch_rate.slot is 'When the five minutes begin';
comment on column iclock.punch_rate.site is 'Site of the devices; empty: those without one';
comment on column iclock.punch_rate.sandbox is 'Simulated devices';
comment on column iclock.punch_rate.punches is 'Punches stored';

comment on table iclock.punch_tally is 'One row: which punches have been counted';
comment on column iclock.punch_tally.single is 'There is only one row';
comment on column iclock.punch_tally.tallied_at is 'When that was last done';
comment on column iclock.punch_tally.quiet_at is 'When quiet devices were last looked for';
comment on column iclock.punch_tally.base is 'punch_state.txid_base, as it was then';
comment on column iclock.punch_tally.snapshot is 'Punches that this snapshot shows have been counted';
