-- Comments on what analysts read: labels, days, logs.

comment on column iclock.site.day_starts is 'When a day of shift_attendance starts: noon for shifts from 22:00 to 06:00';
comment on column iclock.site.double_punch_interval is 'A punch sooner after the last that counted of the same person is a double one, if it has the same direction: it is stored, and left out of the days. At most an hour';

comment on column iclock.device.site_since is 'Since when the device has stood at its site, on its clock; set by move_device()';
comment on table iclock.device_site is 'Where devices stood before they were moved by move_device()';
comment on column iclock.device_site.device_id is 'Device';
comment on column iclock.device_site.starts is 'First moment there, on the clock of the device';
comment on column iclock.device_site.ends is 'First moment elsewhere';
comment on column iclock.device_site.site is 'Site; NULL: none';

comment on column iclock.verify_label.record_type is '1: of records of identity verification, 0: of all others';
comment on column iclock.status_label.record_type is '1: of records of identity verification, 0: of all others';

comment on table iclock.label is 'Meaning of all other codes by dialect; rows may be added and changed';
comment on column iclock.label.kind is 'operation, operation object 1 to 3 (by the code of the operation), alarm, language, error, error generator, error module, error origin, photo result, biometric type, gender, nation';
comment on column iclock.label.dialect is 'device.dialect';
comment on column iclock.label.code is 'Code as devices send it';
comment on column iclock.label.label is 'Meaning';

comment on column iclock.attendance.counts is 'Whether it shows that the user was there: not a failed verification of an identity card, not a card of nobody';
comment on column iclock.attendance.shift_day is 'Day of the site, which begins at site.day_starts';

comment on column iclock.daily_attendance.site is 'Site; NULL: the devices without one';

comment on view iclock.shift_attendance is
'First and last punch of each person on each day of the site, which begins at site.day_starts: a shift over midnight is one row. For a few days out of many months use iclock.shift_attendance_between(), which reads only their partitions';
comment on column iclock.shift_attendance.site is 'Site; NULL: the devices without one';
comment on column iclock.shift_attendance.pin is 'User: the same PIN on another site is another row';
comment on column iclock.shift_attendance.day is 'Day on which the day of the site began';
comment on column iclock.shift_attendance.user_name is 'Name a device of the site has for the PIN';
comment on column iclock.shift_attendance.punches is 'Number of punches, double ones left out';
comment on column iclock.shift_attendance.first_local_time is 'Earliest time shown by a device';
comment on column iclock.shift_attendance.last_local_time is 'Latest time shown by a device';
comment on column iclock.shift_attendance.first_punched_at is 'First moment';
comment on column iclock.shift_attendance.last_punched_at is 'Last moment';
comment on column iclock.shift_attendance.span is 'Time that really passed between them';
comment on column iclock.shift_attendance.serial_numbers is 'Devices used';

comment on view iclock.monthly_attendance is
'Totals of shift_attendance by month. For a few months use iclock.monthly_attendance_between()';
comment on column iclock.monthly_attendance.site is 'Site; NULL: the devices without one';
comment on column iclock.monthly_attendance.pin is 'User';
comment on column iclock.monthly_attendance.month is 'First of the month';
comment on column iclock.monthly_attendance.user_name is 'Name a device of the site has for the PIN';
comment on column iclock.monthly_attendance.days is 'Days with a punch';
comment on column iclock.monthly_attendance.single_punch_days is 'Days of these with one punch only, which have no span';
comment on column iclock.monthly_attendance.punches is 'Number of punches, double ones left out';
comment on column iclock.monthly_attendance.total_span is 'Sum of the spans of the days';
comment on column iclock.monthly_attendance.first_day is 'First of the days';
comment on column iclock.monthly_attendance.last_day is 'Last of the days';

comment on view iclock.present_now is
'Who is there: the last punch of the present day of the site is one of coming; where a device knows no direction, the number of punches is odd';
comment on column iclock.present_now.site is 'Site; NULL: the devices without one';
comment on column iclock.present_now.pin is 'User';
comment on column iclock.present_now.user_name is 'Name the device of the last punch has for the PIN';
comment on column iclock.present_now.local_time is 'Last punch, as the device shows it';
comment on column iclock.present_now.punched_at is 'Last punch, the moment';
comment on column iclock.present_now.since_first is 'How long ago the first punch of the day was';
comment on column iclock.present_now.direction is 'Direction of the last punch: in, or NULL';
comment on column iclock.present_now.punches is 'Punches of the day, double ones left out';
comment on column iclock.present_now.serial_number is 'Device of the last punch';
comment on column iclock.present_now.device_name is 'Name of that device';

comment on column iclock.device_status.language_label is 'Language, by the dialect of the device; NULL: not known';
comment on column iclock.reconciliation.note is 'How it stands, in words';

comment on view iclock.operation_log is 'Operations with the meaning of their codes and objects, and names';
comment on column iclock.operation_log.device_id is 'Device';
comment on column iclock.operation_log.serial_number is 'Serial number of the device';
comment on column iclock.operation_log.device_name is 'Name of the device';
comment on column iclock.operation_log.site is 'Where the device stands';
comment on column iclock.operation_log.local_time is 'Date and time shown by the device';
comment on column iclock.operation_log.operated_at is 'The moment';
comment on column iclock.operation_log.code is 'Operation as sent';
comment on column iclock.operation_log.operation is 'Operation by the dialect of the device; NULL: not known';
comment on column iclock.operation_log.operator is 'PIN of the administrator; 0: nobody';
comment on column iclock.operation_log.operator_name is 'Name the device has for that PIN';
comment on column iclock.operation_log.pin is 'User the operation was about';
comment on column iclock.operation_log.user_name is 'Name the device has for that PIN';
comment on column iclock.operation_log.alarm is 'Reason of an alarm';
comment on column iclock.operation_log.object1 is 'First object as sent';
comment on column iclock.operation_log.object1_label is 'What the first object is';
comment on column iclock.operation_log.object2 is 'Second object as sent';
comment on column iclock.operation_log.object2_label is 'What the second object is';
comment on column iclock.operation_log.object3 is 'Third object as sent';
comment on column iclock.operation_log.object3_label is 'What the third object is';
comment on column iclock.operation_log.object4 is 'Fourth object as sent';
comment on column iclock.operation_log.received_at is 'When it was stored';

comment on view iclock.device_error_log is 'Errors that devices reported, with the command each is about';
comment on column iclock.device_error_log.id is 'Key';
comment on column iclock.device_error_log.device_id is 'Device';
comment on column iclock.device_error_log.serial_number is 'Serial number of the device';
comment on column iclock.device_error_log.device_name is 'Name of the device';
comment on column iclock.device_error_log.site is 'Where the device stands';
comment on column iclock.device_error_log.received_at is 'When it was stored';
comment on column iclock.device_error_log.code is 'Error code as sent';
comment on column iclock.device_error_log.label is 'Meaning of the code; NULL: not known';
comment on column iclock.device_error_log.generator is 'Who made the code, by its first character';
comment on column iclock.device_error_log.module is 'Part of the device, by the first three characters';
comment on column iclock.device_error_log.message is 'Message of the device';
comment on column iclock.device_error_log.origin is 'Where the data came from, as sent';
comment on column iclock.device_error_log.origin_label is 'Where the data came from';
comment on column iclock.device_error_log.command_id is 'Command it is about; NULL: none, or not known';
comment on column iclock.device_error_log.command is 'That command, without its fields';
comment on column iclock.device_error_log.pin is 'User the command was about';
comment on column iclock.device_error_log.command_status is 'What became of the command';
comment on column iclock.device_error_log.return_code is 'What the device answered to the command';
comment on column iclock.device_error_log.result is 'Meaning of that answer';
comment on column iclock.device_error_log.additional is 'What the device added, base64 of JSON';

comment on view iclock.attendance_photo is 'Photos of punches, without the pictures';
comment on column iclock.attendance_photo.device_id is 'Device';
comment on column iclock.attendance_photo.serial_number is 'Serial number of the device';
comment on column iclock.attendance_photo.device_name is 'Name of the device';
comment on column iclock.attendance_photo.site is 'Where the device stands';
comment on column iclock.attendance_photo.pin is 'User; empty: nobody recognized';
comment on column iclock.attendance_photo.user_name is 'Name the device has for the PIN';
comment on column iclock.attendance_photo.taken_at is 'Date and time shown by the device';
comment on column iclock.attendance_photo.result is 'Result as sent';
comment on column iclock.attendance_photo.result_label is 'Meaning of the result';
comment on column iclock.attendance_photo.file_name is 'Name of the file, key within photo';
comment on column iclock.attendance_photo.bytes is 'Size of the picture';
comment on column iclock.attendance_photo.received_at is 'When it was stored';

comment on view iclock.identity_card_log is 'Identity cards that were read, with the meaning of their codes; for iclock_reader_cards';
comment on column iclock.identity_card_log.device_id is 'Device';
comment on column iclock.identity_card_log.serial_number is 'Serial number of the device';
comment on column iclock.identity_card_log.device_name is 'Name of the device';
comment on column iclock.identity_card_log.site is 'Where the device stands';
comment on column iclock.identity_card_log.id_number is 'Identity number';
comment on column iclock.identity_card_log.pin is 'User the card is bound to; 0: none';
comment on column iclock.identity_card_log.name is 'Name on the card';
comment on column iclock.identity_card_log.gender is 'Gender as sent';
comment on column iclock.identity_card_log.gender_label is 'Gender';
comment on column iclock.identity_card_log.nation is 'Ethnic group as sent';
comment on column iclock.identity_card_log.nation_label is 'Ethnic group';
comment on column iclock.identity_card_log.birthday is 'Date of birth as sent';
comment on column iclock.identity_card_log.valid_info is 'Validity as sent';
comment on column iclock.identity_card_log.address is 'Address';
comment on column iclock.identity_card_log.issuer is 'Issuer';
comment on column iclock.identity_card_log.updated_at is 'When it was stored';

comment on function iclock.move_device(text, text, timestamp) is 'Moves a device to another site: what it recorded before that time (of its clock; else now) stays with the old one in attendance and in the days. set_device(site) only corrects the site';

comment on function iclock.unchecked_since(bigint, timestamp) is 'From when on a device has to be asked what it holds';
comment on function iclock.agreed_until(bigint, timestamp) is 'Until when all punches of a device since a time have been compared without a hole';
comment on function iclock.attendance_days(date, date, boolean) is 'Days of people by site and PIN, from midnight or by the days of the sites; daily_attendance and shift_attendance are made of it';
comment on function iclock.shift_attendance_between(date, date) is 'The rows of shift_attendance of some days, reading only the partitions of their months';
comment on function iclock.monthly_attendance_between(date, date) is 'Totals by month of the days from one to another, reading only the partitions of their months';

comment on function iclock.import_time(text) is 'A date and time of a file; NULL if it is none';
comment on function iclock.import_row(jsonb) is 'A row of a file as a punch, or the reason why it is none';
comment on function iclock.import_rows(text, jsonb, bigint) is 'Stores some rows of a file; import_punches() calls it';
comment on function iclock.import_file(text, refcursor) is 'Stores what a cursor reads, in pieces; import_punches() calls it';
comment on function iclock.import_punches(text, jsonb) is 'Stores punches out of a file (an array of lines of attlog.dat, or of objects with the columns of CHECKINOUT) for a registered device; returns how many were stored and known, and the bad rows';
comment on function iclock.import_punches(text, text) is 'The same for the rows of a table or view: one column of lines or objects, or the columns of such objects';
comment on function iclock.last_counted(timestamp, timestamp, boolean, interval) is 'A step of counted_until()';
comment on aggregate iclock.counted_until(timestamp, boolean, interval) is 'For views: when the last punch was that is not a double one, by a window';
