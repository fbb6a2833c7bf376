-- The exact bytes of every command, as the documents have them: attendance PUSH
-- 2.4.1 (device P) and push SDK 3.2.0 (device S).  A TAB is written as ⇥.
-- t/wire.t takes the calls from here and sends each to a terminal.

\ir ../fixtures/pgtap.psql
-- roles are the cluster's, and another file may make some at the same time
lock table pg_catalog.pg_authid in share row exclusive mode;

insert into iclock.device (serial_number, status, dialect, timezone)
values ('P001', 'active', '2.4', 'Asia/Kolkata'),
       ('S001', 'active', '3.2', null);

create function pg_temp.sent(call text) returns text language plpgsql as $$
declare
    command  bigint;
    body     text;
begin
    execute 'select iclock.' || call into strict command;
    select c.body into strict body from iclock.command c where c.id = command;
    return body;
end
$$;

create temp table wire (section text, call text, body text);

insert into wire values
-- PUSH 12.1.1: update
('P 12.1.1.1', $$put_user('P001', '408', name => 'Asha Rao', privilege => 14, password => '99', card => '[15CD5B07]', access_group => 2, time_zone => '0001000200010000', verify => 15, vice_card => '123456789')$$,
 'DATA UPDATE USERINFO PIN=408⇥Name=Asha Rao⇥Pri=14⇥Passwd=99⇥Card=[15CD5B07]⇥Grp=2⇥TZ=0001000200010000⇥Verify=15⇥ViceCard=123456789'),
('P 12.1.1.1', $$put_user('P001', '9', 'A, B & C = D')$$,
 'DATA UPDATE USERINFO PIN=9⇥Name=A, B & C = D⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0000000000000000⇥Verify=-1⇥ViceCard='),
('P 12.1.1.1', $$put_user('P001', '5_4968', U&'\00DCmit \5F20\4F1F')$$,
 'DATA UPDATE USERINFO PIN=5_4968⇥Name=Ümit 张伟⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0000000000000000⇥Verify=-1⇥ViceCard='),
('P 12.1.1.2', $$put_identity_card('P001', '430302199001011234', pin => '7', sn_number => '12ab', dn_number => 'dn9', name => 'Li', gender => 2, nation => 1, birthday => '1990-01-01', valid_from => '2015-01-02', valid_until => '2035-01-02', address => 'Road 1', additional_info => 'x', issuer => 'PSB', photo => 'photo', fingerprint1 => 'one', fingerprint2 => 'two', reserve => 'r', notice => 'n')$$,
 'DATA UPDATE IDCARD PIN=7⇥SNNum=12ab⇥IDNum=430302199001011234⇥DNNum=dn9⇥Name=Li⇥Gender=2⇥Nation=1⇥Birthday=19900101⇥ValidInfo=2015010220350102⇥Address=Road 1⇥AdditionalInfo=x⇥Issuer=PSB⇥Photo=cGhvdG8=⇥FPTemplate1=b25l⇥FPTemplate2=dHdv⇥Reserve=r⇥Notice=n'),
('P 12.1.1.2', $$put_identity_card('P001', '43')$$,
 'DATA UPDATE IDCARD PIN=0⇥SNNum=⇥IDNum=43⇥DNNum=⇥Name=⇥Gender=⇥Nation=⇥Birthday=⇥ValidInfo=⇥Address=⇥AdditionalInfo=⇥Issuer=⇥Photo=⇥FPTemplate1=⇥FPTemplate2=⇥Reserve=⇥Notice='),
('P 12.1.1.3', $$put_fingerprint('P001', '1', 9, 'safasdwrrwrerterere')$$,
 'DATA UPDATE FINGERTMP PIN=1⇥FID=9⇥Size=28⇥Valid=1⇥TMP=c2FmYXNkd3Jyd3JlcnRlcmVyZQ=='),
('P 12.1.1.3', $$put_fingerprint('P001', '1', 0, 'abc', valid => 3)$$,
 'DATA UPDATE FINGERTMP PIN=1⇥FID=0⇥Size=4⇥Valid=3⇥TMP=YWJj'),
('P 12.1.1.4', $$put_face('P001', '1', 11, 'face')$$,
 'DATA UPDATE FACE PIN=1⇥FID=11⇥Valid=1⇥Size=8⇥TMP=ZmFjZQ=='),
('P 12.1.1.5', $$put_finger_vein('P001', '1', 6, 2, 'vein', valid => false)$$,
 'DATA UPDATE FVEIN Pin=1⇥FID=6⇥Index=2⇥Valid=0⇥Size=8⇥Tmp=dmVpbg=='),
('P 12.1.1.6', $$put_template('P001', '1', 8, 'palm', no => 1, index => 2, major_version => 12, minor_version => 3, format => 0, duress => true)$$,
 'DATA UPDATE BIODATA Pin=1⇥No=1⇥Index=2⇥Valid=1⇥Duress=1⇥Type=8⇥MajorVer=12⇥MinorVer=3⇥Format=0⇥Tmp=cGFsbQ=='),
('P 12.1.1.7', $$put_photo('P001', '9', '\xffd8ff')$$,
 'DATA UPDATE USERPIC PIN=9⇥Size=4⇥Content=/9j/'),
('P 12.1.1.8', $$put_comparison_photo('P001', '9', '\xffd8ff')$$,
 'DATA UPDATE BIOPHOTO PIN=9⇥Type=9⇥Size=4⇥Content=/9j/⇥Format=0⇥Url=⇥PostBackTmpFlag=0'),
('P 12.1.1.8', $$put_comparison_photo('P001', '9', url => 'file/photo/9.jpg', type => 2, return_template => true)$$,
 'DATA UPDATE BIOPHOTO PIN=9⇥Type=2⇥Size=0⇥Content=⇥Format=1⇥Url=file/photo/9.jpg⇥PostBackTmpFlag=1'),
('P 12.1.1.9', $$put_message('P001', 3, 'Meeting at ten', 'user', 90, '2015-07-29 00:00:00')$$,
 'DATA UPDATE SMS MSG=Meeting at ten⇥TAG=254⇥UID=3⇥MIN=90⇥StartTime=2015-07-29 00:00:00'),
('P 12.1.1.9', $$put_message('P001', 3, 'Hi', starts => '2026-01-01')$$,
 'DATA UPDATE SMS MSG=Hi⇥TAG=253⇥UID=3⇥MIN=60⇥StartTime=2026-01-01 00:00:00'),
('P 12.1.1.9', $$put_message('P001', 3, 'Hi', 'reserved', 0, '2026-01-01')$$,
 'DATA UPDATE SMS MSG=Hi⇥TAG=255⇥UID=3⇥MIN=0⇥StartTime=2026-01-01 00:00:00'),
('P 12.1.1.10', $$assign_message('P001', '9', 3)$$,
 'DATA UPDATE USER_SMS PIN=9⇥UID=3'),
('P 12.1.1.11', $$put_publicity_picture('P001', 2, '\xffd8ff')$$,
 'DATA UPDATE ADPIC Index=2⇥Size=4⇥Extension=jpg⇥Content=/9j/'),
('P 12.1.1.12', $$put_work_code('P001', '17', 'Welding', index => 4)$$,
 'DATA UPDATE WORKCODE PIN=4⇥CODE=17⇥NAME=Welding'),
('P 12.1.1.13', $$put_shortcut_key('P001', 1, 1, 0, 'Check-In', '{14:00,08:00,09:00,10:00,11:00,12:00,13:00}')$$,
 'DATA UPDATE ShortcutKey KeyID=1⇥KeyFun=1⇥StatusCode=0⇥ShowName=Check-In⇥AutoState=1⇥AutoTime=08:00;09:00;10:00;11:00;12:00;13:00;14:00⇥Sun=1⇥Mon=1⇥Tue=1⇥Wed=1⇥Thu=1⇥Fri=1⇥Sat=1'),
('P 12.1.1.13', $$put_shortcut_key('P001', 8, 2, times => '{NULL,08:00,08:00,08:00,08:00,08:00,NULL}')$$,
 'DATA UPDATE ShortcutKey KeyID=8⇥KeyFun=2⇥StatusCode=0⇥ShowName=⇥AutoState=1⇥AutoTime=08:00;08:00;08:00;08:00;08:00;00:00;00:00⇥Sun=0⇥Mon=1⇥Tue=1⇥Wed=1⇥Thu=1⇥Fri=1⇥Sat=0'),
('P 12.1.1.14', $$put_access_group('P001', 2, 1, true, '{1}')$$,
 'DATA UPDATE AccGroup ID=2⇥Verify=1⇥ValidHoliday=1⇥TZ=1;1;0;0'),
('P 12.1.1.14', $$put_access_group('P001', 99, time_periods => '{3,2,50}', group_periods => false)$$,
 'DATA UPDATE AccGroup ID=99⇥Verify=0⇥ValidHoliday=0⇥TZ=0;3;2;50'),
('P 12.1.1.15', $$put_time_period('P001', 5, sunday => '11:59-23:59', friday => '0800-1200')$$,
 'DATA UPDATE AccTimeZone UID=5⇥SunStart=1159⇥SunEnd=2359⇥MonStart=0000⇥MonEnd=2359⇥TuesStart=0000⇥TuesEnd=2359⇥WedStart=0000⇥WedEnd=2359⇥ThursStart=0000⇥ThursEnd=2359⇥FriStart=0800⇥FriEnd=1200⇥SatStart=0000⇥SatEnd=2359'),
('P 12.1.1.16', $$put_holiday('P001', 1, 'Founders Day', '2026-11-23', '2026-11-25', 4)$$,
 'DATA UPDATE AccHoliday UID=1⇥HolidayName=Founders Day⇥StartDate=1123⇥EndDate=1125⇥TimeZone=4'),
('P 12.1.1.16', $$put_holiday('P001', 2, 'Day', '2026-01-02')$$,
 'DATA UPDATE AccHoliday UID=2⇥HolidayName=Day⇥StartDate=0102⇥EndDate=0102⇥TimeZone=1'),
('P 12.1.1.17', $$put_unlock_combination('P001', 1, 1, 2, group5 => 5)$$,
 'DATA UPDATE AccUnLockComb UID=1⇥Group1=1⇥Group2=2⇥Group3=0⇥Group4=0⇥Group5=5'),
('P 12.1.1.18', $$blacklist_identity_card('P001', '430302199001011234')$$,
 'DATA UPDATE Blacklist IDNum=430302199001011234'),
-- PUSH 12.1.2: delete
('P 12.1.2.1', $$delete_user('P001', '9')$$, 'DATA DELETE USERINFO PIN=9'),
('P 12.1.2.2', $$delete_fingerprint('P001', '9')$$, 'DATA DELETE FINGERTMP PIN=9'),
('P 12.1.2.2', $$delete_fingerprint('P001', '9', 6)$$, 'DATA DELETE FINGERTMP PIN=9⇥FID=6'),
('P 12.1.2.3', $$delete_face('P001', '9')$$, 'DATA DELETE FACE PIN=9'),
('P 12.1.2.4', $$delete_finger_vein('P001', '9')$$, 'DATA DELETE FVEIN Pin=9'),
('P 12.1.2.4', $$delete_finger_vein('P001', '9', 0)$$, 'DATA DELETE FVEIN Pin=9⇥FID=0'),
('P 12.1.2.5', $$delete_template('P001', '9')$$, 'DATA DELETE BIODATA Pin=9'),
('P 12.1.2.5', $$delete_template('P001', '9', 8)$$, 'DATA DELETE BIODATA Pin=9⇥Type=8'),
('P 12.1.2.5', $$delete_template('P001', '9', 8, 1)$$, 'DATA DELETE BIODATA Pin=9⇥Type=8⇥No=1'),
('P 12.1.2.6', $$delete_photo('P001', '9')$$, 'DATA DELETE USERPIC PIN=9'),
('P 12.1.2.7', $$delete_comparison_photo('P001', '9')$$, 'DATA DELETE BIOPHOTO PIN=9'),
('P 12.1.2.8', $$delete_message('P001', 3)$$, 'DATA DELETE SMS UID=3'),
('P 12.1.2.9', $$delete_work_code('P001', '17')$$, 'DATA DELETE WORKCODE CODE=17'),
('P 12.1.2.10', $$delete_publicity_picture('P001', 2)$$, 'DATA DELETE ADPIC Index=2'),
-- PUSH 12.1.3: query
('P 12.1.3', $$query_attendance('P001', '2015-07-29 00:00:00', '2015-07-29 23:59:59')$$,
 'DATA QUERY ATTLOG StartTime=2015-07-29 00:00:00⇥EndTime=2015-07-29 23:59:59'),
('P 12.1.3', $$query_attendance_photos('P001', '2015-07-29 00:00:00', '2015-07-29 23:59:59')$$,
 'DATA QUERY ATTPHOTO StartTime=2015-07-29 00:00:00⇥EndTime=2015-07-29 23:59:59'),
('P 12.1.3', $$query_user('P001', '9')$$, 'DATA QUERY USERINFO PIN=9'),
('P 12.1.3', $$query_fingerprint('P001', '9', 6)$$, 'DATA QUERY FINGERTMP PIN=9⇥FingerID=6'),
('P 12.1.3', $$query_fingerprint('P001', '9')$$, 'DATA QUERY FINGERTMP PIN=9'),
('P 12.1.3', $$query_template('P001', 9)$$, 'DATA QUERY BIODATA Type=9'),
('P 12.1.3', $$query_template('P001', 9, '7')$$, 'DATA QUERY BIODATA Type=9⇥PIN=7'),
('P 12.1.3', $$query_template('P001', 9, '7', 0)$$, 'DATA QUERY BIODATA Type=9⇥PIN=7⇥No=0'),
-- PUSH 12.2 to 12.8
('P 12.2.1', $$clear_attendance('P001')$$, 'CLEAR LOG'),
('P 12.2.2', $$clear_attendance_photos('P001')$$, 'CLEAR PHOTO'),
('P 12.2.3', $$clear_data('P001')$$, 'CLEAR DATA'),
('P 12.2.4', $$clear_templates('P001')$$, 'CLEAR BIODATA'),
('P 12.3.1', $$check_data('P001')$$, 'CHECK'),
('P 12.3.1', $$request_reupload('P001', 'ATTLOG')$$, 'CHECK'),
('P 12.3.2', $$send_new_data('P001')$$, 'LOG'),
('P 12.3.3', $$query_attendance_count('P001', '2015-07-29', '2015-07-29 23:59:59')$$,
 'VERIFY SUM ATTLOG StartTime=2015-07-29 00:00:00⇥EndTime=2015-07-29 23:59:59'),
('P 12.3.3', $$verify_attendance('P001', '2015-07-29', '2015-07-30')$$,
 'VERIFY SUM ATTLOG StartTime=2015-07-29 00:00:00⇥EndTime=2015-07-30 00:00:00'),
('P 12.4.1', $$set_option('P001', 'IPAddress', '192.168.1.225')$$, 'SET OPTION IPAddress=192.168.1.225'),
('P 12.4.2', $$reload_options('P001')$$, 'RELOAD OPTIONS'),
('P 12.4.3', $$query_options('P001')$$, 'INFO'),
('P 12.5.1', $$get_file('P001', '/mnt/mtdblock/data/ssruser.dat')$$, 'GetFile /mnt/mtdblock/data/ssruser.dat'),
('P 12.5.2', $$put_file('P001', 'file/fw/X938/main.tgz')$$, 'PutFile file/fw/X938/main.tgz'),
('P 12.5.2', $$put_file('P001', 'file/fw/X938/main.tgz', 'main.tgz')$$, 'PutFile file/fw/X938/main.tgz⇥main.tgz'),
('P 12.5.2', $$put_file('P001', 'file/fw/X938/ssruser.dat', '/mnt/mtdblock/ssruser.dat')$$,
 'PutFile file/fw/X938/ssruser.dat⇥/mnt/mtdblock/ssruser.dat'),
('P 12.5.2', $$queue_command('P001', E'PutFile file/u.tgz\tu.tgz\tAction=SyncData\tTableName=USERINFO\tRecordCount=120')$$,
 'PutFile file/u.tgz⇥u.tgz⇥Action=SyncData⇥TableName=USERINFO⇥RecordCount=120'),
('P 12.6.1', $$enroll_fingerprint('P001', '408', 5)$$, 'ENROLL_FP PIN=408⇥FID=5⇥RETRY=3⇥OVERWRITE=1'),
('P 12.6.1', $$enroll_fingerprint('P001', '408', 5, 1, false)$$, 'ENROLL_FP PIN=408⇥FID=5⇥RETRY=1⇥OVERWRITE=0'),
('P 12.6.2', $$enroll_card('P001', '408')$$, 'ENROLL_MF PIN=408⇥RETRY=3'),
('P 12.6.3', $$enroll_template('P001', '408', 9, '123456789', 2, false)$$,
 'ENROLL_BIO TYPE=9⇥PIN=408⇥CardNo=123456789⇥RETRY=2⇥OVERWRITE=0'),
('P 12.7.1', $$reboot('P001')$$, 'REBOOT'),
('P 12.7.2', $$unlock_door('P001')$$, 'AC_UNLOCK'),
('P 12.7.3', $$cancel_alarm('P001')$$, 'AC_UNALARM'),
('P 12.8.1', $$run_shell('P001', 'ls -l /mnt | head')$$, 'SHELL ls -l /mnt | head'),
('P 12.8.2', $$upgrade_firmware('P001', 'http://192.168.0.13:89/data/emfw.cfg', 'oqoier9883kjankdefi894eu', 6558)$$,
 'UPGRADE type=1,checksum=oqoier9883kjankdefi894eu,size=6558,url=http://192.168.0.13:89/data/emfw.cfg'),
('P 12.8.2', $$upgrade_firmware('P001', 'http://localhost/emfw.cfg', 'a5bf4dcd6020f408589224274aab132d', 2312, 'base64')$$,
 'UPGRADE checksum=a5bf4dcd6020f408589224274aab132d,url=http://localhost/emfw.cfg,size=2312'),
-- SDK, part VI
('S 1', $$run_shell('S001', 'ls')$$, 'SHELL ls'),
('S 2', $$check_data('S001')$$, 'CHECK'),
('S 3', $$clear_attendance('S001')$$, 'CLEAR LOG'),
('S 3', $$clear_data('S001')$$, 'CLEAR DATA'),
('S 3', $$clear_attendance_photos('S001')$$, 'CLEAR PHOTO'),
('S 3', $$clear_users('S001')$$, 'CLEAR ALL USERINFO'),
('S 3', $$clear_bells('S001')$$, 'CLEAR ALL BELL'),
('S 3', $$reset_function_keys('S001')$$, 'RESET ALL FUNCKEYS'),
('S 3', $$reset_time_periods('S001')$$, 'RESET ALL TIMEZONE'),
('S 4', $$query_options('S001')$$, 'INFO'),
('S 5', $$set_option('S001', 'IPAddress', '192.168.1.225')$$, 'SET OPTION IPAddress=192.168.1.225'),
('S 6', $$reboot('S001')$$, 'REBOOT'),
('S 7.2', $$put_user('S001', '408', 'Asha', 14, '99', '77', 2, '000000010002000F', 4, '1')$$,
 'DATA UPDATE USERINFO PIN=408⇥Name=Asha⇥Pri=14⇥Passwd=99⇥Card=77⇥Grp=2⇥TZ=000000010002000F⇥VerifyMode=4'),
('S 7.2', $$put_user('S001', '409', 'Asha')$$,
 'DATA UPDATE USERINFO PIN=409⇥Name=Asha⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0001000000000000'),
('S 7.2', $$put_user('S001', '409', 'Asha', verify => -1)$$,
 'DATA UPDATE USERINFO PIN=409⇥Name=Asha⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0001000000000000'),
('S 7.2', $$put_user('S001', '409', 'Asha', verify => 0)$$,
 'DATA UPDATE USERINFO PIN=409⇥Name=Asha⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0001000000000000⇥VerifyMode=0'),
('notes', $$put_user('P001', '409', 'Asha', starts_at => '2026-01-01', ends_at => '2026-06-30 18:00')$$,
 'DATA UPDATE USERINFO PIN=409⇥Name=Asha⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0000000000000000⇥Verify=-1⇥ViceCard=⇥StartDatetime=2026-01-01 00:00:00⇥EndDatetime=2026-06-30 18:00:00'),
('notes', $$put_user('P001', '409', 'Asha', ends_at => '2026-06-30 18:00')$$,
 'DATA UPDATE USERINFO PIN=409⇥Name=Asha⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0000000000000000⇥Verify=-1⇥ViceCard=⇥StartDatetime=0⇥EndDatetime=2026-06-30 18:00:00'),
('notes', $$put_user('P001', '409', 'Asha', ends_at => 'infinity')$$,
 'DATA UPDATE USERINFO PIN=409⇥Name=Asha⇥Pri=0⇥Passwd=⇥Card=⇥Grp=1⇥TZ=0000000000000000⇥Verify=-1⇥ViceCard=⇥StartDatetime=0⇥EndDatetime=0'),
('S 7.4', $$put_fingerprint('S001', '1', 3, 'abc', old_command => true)$$,
 'DATA FP PIN=1⇥FID=3⇥Size=4⇥Valid=1⇥TMP=YWJj'),
('S 7.3', $$put_user_extension('S001', '1', 60, true, 35)$$,
 'DATA UPDATE USEREXTINFO PIN=1⇥RecheckMin=60⇥LockoutOverride=1⇥User1to1FpThreshold=35'),
('S 7.3', $$put_user_extension('S001', '1')$$,
 'DATA UPDATE USEREXTINFO PIN=1⇥RecheckMin=0⇥LockoutOverride=0'),
('S 7.4', $$put_fingerprint('S001', '1', 3, 'abc')$$,
 'DATA UPDATE FINGERTMP PIN=1⇥FID=3⇥Size=4⇥Valid=1⇥TMP=YWJj'),
('S 7.5', $$put_face('S001', '1', 3, 'face')$$,
 'DATA UPDATE FACE PIN=1⇥FID=3⇥Size=8⇥Valid=1⇥TMP=ZmFjZQ=='),
('S 7.6', $$delete_user('S001', '1')$$, 'DATA DELETE USERINFO PIN=1'),
('S 7.6', $$delete_all_users('S001')$$, 'DATA DELETE USERINFO'),
('S 7.7', $$delete_fingerprint('S001', '1', 3)$$, 'DATA DELETE FINGERTMP PIN=1⇥FID=3'),
('S 7.7', $$delete_all_fingerprints('S001')$$, 'DATA DELETE FINGERTMP'),
('S 7.8', $$delete_face('S001', '1')$$, 'DATA DELETE FACE PIN=1'),
('S 7.8', $$delete_all_faces('S001')$$, 'DATA DELETE FACE'),
('S 7.9', $$put_photo('S001', '1', '\xffd8ff')$$, 'DATA UPDATE USERPIC PIN=1⇥Size=4⇥Content=/9j/'),
('S 7.10', $$delete_photo('S001', '1')$$, 'DATA DELETE USERPIC PIN=1'),
('S 7.11.1', $$put_message('S001', 1, 'Hi', minutes => 5, starts => '2026-01-01 08:00')$$,
 'DATA UPDATE SMS MSG=Hi⇥TAG=253⇥UID=1⇥MIN=5⇥StartTime=2026-01-01 08:00:00'),
('S 7.11.2', $$assign_message('S001', '1', 1)$$, 'DATA UPDATE USER_SMS PIN=1⇥UID=1'),
('S 7.11.3', $$delete_all_messages('S001')$$, 'DATA DELETE SMS'),
('S 7.11.3', $$delete_message('S001', 1)$$, 'DATA DELETE SMS UID=1'),
('S 7.12.1', $$put_work_code('S001', '17', 'Welding')$$, 'DATA UPDATE WORKCODE CODE=17⇥Name=Welding'),
('S 7.12.2', $$delete_work_code('S001', '17')$$, 'DATA DELETE WORKCODE CODE=17'),
('S 7.12.2', $$delete_all_work_codes('S001')$$, 'DATA DELETE WORKCODE'),
('S 7.13.1', $$put_job_code_group('S001', 6, 'Machines', false)$$, 'DATA UPDATE JOBCODEGROUP ID=6⇥Name=Machines⇥Enable=0'),
('S 7.13.2', $$put_job_code('S001', 100, 'Lathe', 6)$$, 'DATA UPDATE JOBCODE Number=100⇥Name=Lathe⇥JobCodeGroupId=6'),
('S 7.13.3', $$delete_job_code_group('S001', 6)$$, 'DATA DELETE JOBCODEGROUP ID=6'),
('S 7.13.4', $$delete_job_code('S001', 100, 6)$$, 'DATA DELETE JOBCODE Number=100⇥JobCodeGroupId=6'),
('S 7.14.1', $$put_tip_code('S001', 3, 'Cash')$$, 'DATA UPDATE TIPCODE ID=3⇥Name=Cash⇥Enable=1'),
('S 7.15.1', $$put_time_period('S001', 1, '11:23-12:33', '00:00-15:33', '00:00-12:33', '00:00-12:33', '00:00-12:33', '01:00-12:33', '00:00-12:33')$$,
 'DATA UPDATE TIMEZONE TZID=1⇥TIME=11231233000015330000123300001233000012330100123300001233'),
('S 7.15.2', $$delete_time_period('S001', 50)$$, 'DATA DELETE TIMEZONE TZID=50'),
('S 7.15.2', $$delete_all_time_periods('S001')$$, 'DATA DELETE TIMEZONE'),
('S 7.15.4', $$put_access_group('S001', 1, 4, false, '{1,2,16}')$$,
 'DATA UPDATE AccGroup ID=1⇥Verify=4⇥Validholiday=0⇥TZ=000100020010'),
('S 7.16.1', $$put_bell('S001', 1, '08:05', '{1,2,3,4,5}', music => 9, volume => 99, type => 2, life_time => 255)$$,
 'DATA UPDATE BELL BellID=1⇥Time=08:05⇥MusicID=9⇥Volume=99⇥State=1⇥SUN=0⇥MON=1⇥TUE=1⇥WED=1⇥THU=1⇥FRI=1⇥SAT=0⇥BellType=2⇥BellLifeTime=255'),
('S 7.16.1', $$put_bell('P001', 2, '17:00', enabled => false)$$,
 'DATA UPDATE BELL BellID=2⇥Time=17:00⇥MusicID=0⇥Volume=67⇥State=0⇥SUN=1⇥MON=1⇥TUE=1⇥WED=1⇥THU=1⇥FRI=1⇥SAT=1⇥BellType=0⇥BellLifeTime=0'),
('S 7.16.2', $$delete_bell('S001', 1)$$, 'DATA DELETE BELL BellID=1'),
('S 7.16.2', $$delete_all_bells('S001')$$, 'DATA DELETE BELL'),
('S 7.17.1', $$put_function_key('S001', 2, 1, 15, 'Lunch Out', '{08:30,09:00,08:00,12:00,11:12,NULL,NULL}')$$,
 'DATA UPDATE FUNCTIONKEY ShortKeyID=2⇥ShortKeyFun=1⇥StateCode=15⇥StateName=Lunch Out⇥StateAutoChange=1⇥Time=08:30;09:00;08:00;12:00;11:12;00:00;00:00;⇥SUN=1⇥MON=1⇥TUE=1⇥WED=1⇥THU=1⇥FRI=0⇥SAT=0'),
('S 7.17.2', $$map_status_code('S001', 1, 15)$$, 'DATA UPDATE ATTSTATE AttStateKey=1⇥AttStateValue=15'),
('S 7.17.3', $$put_shortcut_key('S001', 1, 1, 1, 'Check-In', '{08:30,09:00,08:00,12:00,11:12,NULL,NULL}', 15, '1:0:1:0:1:1', '1:0:1')$$,
 'DATA UPDATE SHORTKEY keyID=1⇥keyFun=1⇥stateCode=1⇥keyLabel=Check-In⇥mapValue=15⇥autoChange=1⇥Time=08:30;09:00;08:00;12:00;11:12;00:00;00:00;⇥SUN=1⇥MON=1⇥TUE=1⇥WED=1⇥THU=1⇥FRI=0⇥SAT=0⇥JobGroup=1:0:1:0:1:1⇥TipGroup=1:0:1'),
('S 7.17.3', $$put_shortcut_key('S001', 8, 8)$$,
 'DATA UPDATE SHORTKEY keyID=8⇥keyFun=8⇥stateCode=0⇥keyLabel=⇥mapValue=0⇥autoChange=0⇥Time=00:00;00:00;00:00;00:00;00:00;00:00;00:00;⇥SUN=0⇥MON=0⇥TUE=0⇥WED=0⇥THU=0⇥FRI=0⇥SAT=0⇥JobGroup=0:0:0:0:0:0⇥TipGroup=0:0:0'),
('S 8', $$unlock_door('S001')$$, 'AC_UNLOCK'),
('S 9', $$cancel_alarm('S001')$$, 'AC_UNALARM'),
('S 10.1', $$get_file('S001', 'data/ssruser.dat')$$, 'GetFile data/ssruser.dat'),
('S 10.2', $$put_file('S001', 'http://server/iclock/file/fw/X938/main.tgz')$$, 'PutFile http://server/iclock/file/fw/X938/main.tgz'),
('S 10.2', $$put_file('S001', 'http://server/iclock/file/fw/X938/desktop.jpg', '/mnt/mtdblock/image')$$,
 'PutFile http://server/iclock/file/fw/X938/desktop.jpg /mnt/mtdblock/image'),
('S 11.1', $$query_user('S001', '1')$$, 'DATA QUERY USERINFO PIN=1'),
('S 11.1', $$query_all_users('S001')$$, 'DATA QUERY USERINFO'),
('S 11.2', $$query_attendance('S001', '2015-07-29', '2015-07-29 23:59:59')$$,
 'DATA QUERY ATTLOG StartTime=2015-07-29T00:00:00⇥EndTime=2015-07-29T23:59:59'),
('S 11.3', $$query_fingerprint('S001', '1', 10)$$, 'DATA QUERY FINGERTMP PIN=1⇥FID=10'),
('S 11.3', $$query_fingerprint('S001', '1')$$, 'DATA QUERY FINGERTMP PIN=1'),
('S 11.3', $$query_fingerprint('S001', '1', 1)$$, 'DATA QUERY FINGERTMP PIN=1⇥FID=1'),
('S 11.3', $$put_fingerprint('S001', '1', 10, 'abc')$$,
 'DATA UPDATE FINGERTMP PIN=1⇥FID=10⇥Size=4⇥Valid=1⇥TMP=YWJj'),
('S 11.3', $$delete_fingerprint('S001', '1', 10)$$, 'DATA DELETE FINGERTMP PIN=1⇥FID=10'),
('S 11.2', $$request_reupload('S001', 'attlog')$$,
 'DATA QUERY ATTLOG StartTime=2000-01-01T00:00:00⇥EndTime=2099-12-31T23:59:59'),
('S 11.1', $$request_reupload('S001', 'USERINFO')$$, 'DATA QUERY USERINFO'),
('S 11.3', $$request_reupload('S001', 'FINGERTMP')$$, 'DATA QUERY FINGERTMP'),
('S 11.3', $$query_all_fingerprints('S001')$$, 'DATA QUERY FINGERTMP'),
('S 12.1', $$enroll_fingerprint('S001', '1', 1, 2, false)$$, 'ENROLL_FP PIN=1⇥FID=1⇥RETRY=2⇥OVERWRITE=2'),
('S 13.1', $$put_self_service('S001', 4, 'Schedules')$$,
 'DATA UPDATE SELFSERVICEINFO ServiceNum=4⇥ServiceName=Schedules⇥Enable=1');

select is(pg_temp.sent(call), replace(body, '⇥', E'\t'), section || ': ' || call)
  from wire;

select cmp_ok((select count(distinct regexp_replace(body, '=[^⇥]*', '=', 'g'))
                 from wire), '>=', 90::bigint, 'at least 90 different commands');

-- a function whose bytes nobody has looked at, or that an operator cannot call

select is_empty(
    $$ select p.proname
         from pg_proc p
        where p.pronamespace = 'iclock'::regnamespace
          and obj_description(p.oid, 'pg_proc') ~ '(PUSH|SDK) [0-9]'
          and not exists (select from wire w
                           where w.call like p.proname || '(%') $$,
    'every command of the documents is among them');
select is_empty(
    $$ select distinct p.proname
         from pg_proc p
         join wire w on w.call like p.proname || '(%'
        where p.pronamespace = 'iclock'::regnamespace
          and (not p.prosecdef
               or not has_function_privilege('iclock_operator', p.oid,
                                             'execute')) $$,
    'operators may call each of them');

select is((select min(c.expires_at) from iclock.command c
            where c.body = 'AC_UNLOCK'), now() + interval '1 minute',
          'a door is not opened late');
select is(pg_temp.sent($$put_message('P001', 1, 'Now')$$),
          E'DATA UPDATE SMS MSG=Now\tTAG=253\tUID=1\tMIN=60\tStartTime='
          || to_char(timezone('Asia/Kolkata', now()), 'YYYY-MM-DD HH24:MI:SS'),
          'now is what the clock of the device shows');
select is(pg_temp.sent($$put_photo('P001', '1', decode(repeat('00ff', 60000), 'hex'))$$)
              ~ E'^DATA UPDATE USERPIC PIN=1\tSize=160000\tContent=[A-Za-z0-9+/]+$',
          true, 'long base64 is one line');

-- a role that is limited to another site queues none of them

create role t_elsewhere;
grant iclock_operator, iclock_shell to t_elsewhere;
insert into iclock.role_site (role, site) values ('t_elsewhere', 'Elsewhere');
select is_empty(
    $$ select w.call, e.state
         from wire w,
              lateral pg_temp.as_role('t_elsewhere', 'select iclock.' || w.call)
                  as e (state)
        where e.state <> 'P0002' $$,
    'for a role of another site there is no such device');

-- wrong values: the error names the argument

create function pg_temp.refused(call text, out state text, out message text,
                                out hint text)
    language plpgsql as $$
begin
    execute 'select iclock.' || call;
    state := 'accepted';
exception when others then
    get stacked diagnostics state = returned_sqlstate,
                            message = message_text, hint = pg_exception_hint;
end
$$;

create temp table wrong (call text, argument text);

insert into wrong values
($$put_user('P001', '1', privilege => 15)$$, 'privilege'),
($$put_user('P001', '1', privilege => -1)$$, 'privilege'),
($$put_user('P001', '1', access_group => 256)$$, 'access_group'),
($$put_user('P001', '1', verify => 256)$$, 'verify'),
($$put_user('P001', '1', card => '12x')$$, 'card'),
($$put_user('P001', '1', vice_card => '1 2')$$, 'vice_card'),
($$put_user('P001', '1', time_zone => '1')$$, 'time_zone'),
($$put_user('P001', '1', name => repeat('x', 65536))$$, 'name'),
($$put_user('P001', '1', password => repeat('x', 101))$$, 'password'),
($$put_user('P001', repeat('1', 101))$$, 'pin'),
($$delete_user('P001', '')$$, 'pin'),
($$delete_user('P001', E'1\nC:1:REBOOT')$$, 'pin'),
($$query_user('P001', '1 2')$$, 'pin'),
($$put_user_extension('P001', '1', -1)$$, 'recheck_seconds'),
($$put_user_extension('P001', '1', fingerprint_threshold => 9)$$, 'fingerprint_threshold'),
($$put_identity_card('P001', '')$$, 'id_number'),
($$put_identity_card('P001', '1', gender => 3)$$, 'gender'),
($$put_identity_card('P001', '1', nation => 99)$$, 'nation'),
($$put_identity_card('P001', '1', birthday => 'infinity')$$, 'birthday'),
($$put_identity_card('P001', '1', valid_from => '2026-01-01')$$, 'valid_until'),
($$put_identity_card('P001', '1', address => E'a\tb')$$, 'address'),
($$put_identity_card('P001', '1', photo => '')$$, 'photo'),
($$blacklist_identity_card('P001', '1 2')$$, 'id_number'),
($$put_fingerprint('P001', '1', 10, 'x')$$, 'finger'),
($$put_fingerprint('P001', '1', -1, 'x')$$, 'finger'),
($$put_fingerprint('P001', '1', 1, '')$$, 'template'),
($$put_fingerprint('P001', '1', 1, 'x', 2)$$, 'valid'),
($$put_fingerprint('P001', '1', 1, decode(repeat('00', 65536), 'hex'))$$, 'template'),
($$put_face('P001', '1', -1, 'x')$$, 'no'),
($$put_finger_vein('P001', '1', 1, 3, 'x')$$, 'index'),
($$put_template('P001', '1', -1, 'x')$$, 'type'),
($$put_template('P001', '1', 1, 'x', major_version => -1)$$, 'major_version'),
($$delete_template('P001', '1', no => 1)$$, 'no'),
($$query_template('P001', 1, no => 1)$$, 'no'),
($$put_photo('P001', '1', '')$$, 'content'),
($$put_comparison_photo('P001', '1')$$, 'url'),
($$put_comparison_photo('P001', '1', 'x', 'y')$$, 'url'),
($$put_comparison_photo('P001', '1', url => E'a\tb')$$, 'url'),
($$put_publicity_picture('P001', 1, 'x', '../x')$$, 'extension'),
($$put_message('P001', 1, '')$$, 'message'),
($$put_message('P001', 1, repeat('x', 321))$$, 'message'),
($$put_message('P001', 1, 'x', 'private')$$, 'kind'),
($$put_message('P001', -1, 'x')$$, 'id'),
($$put_message('P001', 1, 'x', minutes => -1)$$, 'minutes'),
($$put_message('P001', 1, 'x', starts => '-infinity')$$, 'starts'),
($$assign_message('P001', '1', 65536)$$, 'id'),
($$put_work_code('P001', '', 'x')$$, 'code'),
($$put_work_code('S001', '1', E'x\r')$$, 'name'),
($$put_job_code_group('S001', 7, 'x')$$, 'id'),
($$put_job_code('S001', 1, 'x', 0)$$, 'group_id'),
($$put_tip_code('S001', 4, 'x')$$, 'id'),
($$put_time_period('P001', 51)$$, 'id'),
($$put_time_period('P001', 1, monday => '8-17')$$, 'monday'),
($$put_time_period('P001', 1, sunday => '24:00-25:00')$$, 'sunday'),
($$put_access_group('P001', 0)$$, 'id'),
($$put_access_group('P001', 1, time_periods => '{1,2,3,4}')$$, 'time_periods'),
($$put_access_group('P001', 1, time_periods => '{51}')$$, 'time_periods'),
($$put_holiday('P001', 1, 'x', 'infinity')$$, 'starts'),
($$put_unlock_combination('P001', 1, 1, 100)$$, 'group2'),
($$put_bell('S001', 1, '08:00', '{7}')$$, 'days'),
($$put_bell('S001', 1, '08:00', null)$$, 'days'),
($$put_bell('S001', 1, '08:00', music => 10)$$, 'music'),
($$put_bell('S001', 1, '08:00', volume => 100)$$, 'volume'),
($$put_bell('S001', 1, '08:00', type => 3)$$, 'type'),
($$put_shortcut_key('P001', 9, 1)$$, 'key'),
($$put_shortcut_key('P001', 1, 10)$$, 'function'),
($$put_shortcut_key('P001', 1, 1, times => '{08:00}')$$, 'times'),
($$put_shortcut_key('S001', 1, 1, job_groups => '1:1')$$, 'job_groups'),
($$put_shortcut_key('S001', 1, 1, tip_groups => '1')$$, 'tip_groups'),
($$query_attendance('P001', '2026-01-02', '2026-01-01')$$, 'ends'),
($$query_attendance('P001', '-infinity', '2026-01-01')$$, 'starts'),
($$query_attendance_photos('P001', '2026-01-01', 'infinity')$$, 'ends'),
($$query_attendance_count('P001', '0044-03-15 BC', '2026-01-01')$$, 'starts'),
($$verify_attendance('P001', '2026-01-02', '2026-01-01')$$, 'ends'),
($$verify_attendance('P001', '2026-01-01', '2026-01-02', -1)$$, 'attempts'),
($$set_option('P001', 'A', '1,2')$$, 'value'),
($$set_option('P001', 'A B', '1')$$, 'name'),
($$get_file('P001', E'a\nb')$$, 'path'),
($$get_file('P001', '')$$, 'path'),
($$put_file('P001', 'a b')$$, 'url'),
($$put_file('P001', 'a', E'b\tAction=AppendData')$$, 'path'),
($$put_file('S001', 'a', 'b c')$$, 'path'),
($$put_fingerprint('S001', '1', 11, 'x')$$, 'finger'),
($$put_user('P001', '1', starts_at => '2026-02-01', ends_at => '2026-01-01')$$, 'ends_at'),
($$put_user('P001', '1', starts_at => '0044-03-15 BC')$$, 'starts_at'),
($$request_reupload('P001', 'NOSUCH')$$, 'table_name'),
($$request_reupload('P001', 'USERINFO')$$, 'table_name'),
($$request_reupload('S001', 'BIODATA')$$, 'table_name'),
($$enroll_fingerprint('P001', '1', 10)$$, 'finger'),
($$enroll_fingerprint('S001', '1', 11)$$, 'finger'),
($$query_fingerprint('P001', '1', 10)$$, 'finger'),
($$enroll_card('P001', '1', -1)$$, 'retries'),
($$enroll_template('P001', '1', 9, 'x')$$, 'card'),
($$unlock_door('P001', '-1 second')$$, 'expires'),
($$run_shell('P001', '')$$, 'command'),
($$run_shell('P001', E'ls\nC:2:REBOOT')$$, 'command'),
($$upgrade_firmware('P001', 'http://x/a,b', 'aa', 1)$$, 'url'),
($$upgrade_firmware('P001', 'http://x/a?b&c', 'aa', 1, file => 'a')$$, 'url'),
($$upgrade_firmware('P001', 'http://x/%61', 'aa', 1, file => 'a')$$, 'url'),
($$upgrade_firmware('P001', 'http://x/#a', 'aa', 1, file => 'a')$$, 'url'),
($$upgrade_firmware('P001', 'http://x/a', 'a,b', 1)$$, 'checksum'),
($$upgrade_firmware('P001', 'http://x/a', 'aa', 0)$$, 'size'),
($$upgrade_firmware('P001', 'http://x/a', 'aa', 1, 'hex')$$, 'method'),
($$upgrade_firmware('P001', 'http://x/a', 'aa', 1, file => '../etc/passwd')$$, 'file'),
($$upgrade_firmware('P001', 'http://x/a', 'aa', 1, file => 'a/../b')$$, 'file'),
($$upgrade_firmware('P001', 'http://x/a', 'aa', 1, file => '/etc/passwd')$$, 'file'),
($$upgrade_firmware('P001', 'http://x/..', 'aa', 1)$$, 'file'),
($$queue_command('P001', E'CHECK\x08')$$, 'body'),
($$copy_user('1', 'P001', 'P001')$$, 'to_serial');

select ok(r.state = '22023' and r.message like 'argument "' || w.argument || '"%'
          and coalesce(r.hint, '') <> '' or r.state = '22023'
          and w.argument in ('body', 'expires'),
          format('refused: %s: %s %s, hint: %s', w.call, r.state, r.message,
                 r.hint))
  from wrong w, lateral pg_temp.refused(w.call) as r;

-- NULL for a required argument

select is(r.state || ' ' || r.message,
          format('22004 argument "%s" must not be NULL', argument), call)
  from (values
    ($$delete_user('P001', null)$$, 'pin'),
    ($$put_fingerprint('P001', '1', null, 'x')$$, 'finger'),
    ($$put_fingerprint('P001', '1', 1, null)$$, 'template'),
    ($$put_photo('P001', '1', null)$$, 'content'),
    ($$put_message('P001', 1, null)$$, 'message'),
    ($$put_message('P001', 1, 'x', null)$$, 'kind'),
    ($$put_work_code('P001', '1', null)$$, 'name'),
    ($$put_bell('S001', 1, null)$$, 'rings_at'),
    ($$put_bell('S001', 1, '08:00', enabled => null)$$, 'enabled'),
    ($$put_time_period('P001', 1, monday => null)$$, 'monday'),
    ($$query_attendance('P001', null, now()::timestamp)$$, 'starts'),
    ($$get_file('P001', null)$$, 'path'),
    ($$run_shell('P001', null)$$, 'command'),
    ($$set_option('P001', 'A', null)$$, 'value'),
    ($$enroll_fingerprint('P001', '1', 1, overwrite => null)$$, 'overwrite'))
    as n (call, argument),
    lateral pg_temp.refused(n.call) as r;

-- injection: every text argument of every command

create temp table attack as
select E'A\tPri=14' as value union all
select E'A\nC:1:REBOOT' union all
select E'A\rC:1:REBOOT' union all
select E'A\r\nC:1:REBOOT' union all
select E'A\x01' union all
select E'A\x0b' union all
select E'A\x1b[0m' union all
select E'A\x7f' union all
select E'A\u0085C:1:REBOOT' union all
select E'A\u2028C:1:REBOOT' union all
select E'A\u2029C:1:REBOOT' union all
select E'A\u008d' union all
select repeat('A', 65536);

create temp table target (call text);
insert into target values
('put_user(''P001'', %L)'), ('put_user(''P001'', ''1'', %L)'),
('put_user(''P001'', ''1'', password => %L)'),
('put_user(''P001'', ''1'', card => %L)'),
('put_user(''P001'', ''1'', time_zone => %L)'),
('put_user(''P001'', ''1'', vice_card => %L)'),
('put_identity_card(''P001'', %L)'),
('put_identity_card(''P001'', ''1'', pin => %L)'),
('put_identity_card(''P001'', ''1'', sn_number => %L)'),
('put_identity_card(''P001'', ''1'', dn_number => %L)'),
('put_identity_card(''P001'', ''1'', name => %L)'),
('put_identity_card(''P001'', ''1'', address => %L)'),
('put_identity_card(''P001'', ''1'', additional_info => %L)'),
('put_identity_card(''P001'', ''1'', issuer => %L)'),
('put_identity_card(''P001'', ''1'', reserve => %L)'),
('put_identity_card(''P001'', ''1'', notice => %L)'),
('blacklist_identity_card(''P001'', %L)'),
('put_fingerprint(''P001'', %L, 1, ''x'')'), ('put_face(''P001'', %L, 1, ''x'')'),
('put_finger_vein(''P001'', %L, 1, 1, ''x'')'),
('put_template(''P001'', %L, 1, ''x'')'), ('put_photo(''P001'', %L, ''x'')'),
('put_comparison_photo(''P001'', %L, ''x'')'),
('put_comparison_photo(''P001'', ''1'', url => %L)'),
('put_publicity_picture(''P001'', 1, ''x'', %L)'),
('put_message(''P001'', 1, %L)'), ('put_message(''P001'', 1, ''x'', %L)'),
('assign_message(''P001'', %L, 1)'), ('put_work_code(''P001'', %L, ''x'')'),
('put_work_code(''P001'', ''1'', %L)'), ('put_work_code(''S001'', ''1'', %L)'),
('put_job_code_group(''S001'', 1, %L)'), ('put_job_code(''S001'', 1, %L, 1)'),
('put_tip_code(''S001'', 1, %L)'), ('put_time_period(''P001'', 1, %L)'),
('put_holiday(''P001'', 1, %L, ''2026-01-01'')'),
('put_shortcut_key(''P001'', 1, 1, label => %L)'),
('put_shortcut_key(''S001'', 1, 1, label => %L)'),
('put_shortcut_key(''S001'', 1, 1, job_groups => %L)'),
('put_function_key(''S001'', 1, 1, label => %L)'),
('put_self_service(''S001'', 1, %L)'), ('delete_user(''P001'', %L)'),
('delete_fingerprint(''P001'', %L)'), ('delete_face(''P001'', %L)'),
('delete_finger_vein(''P001'', %L)'), ('delete_template(''P001'', %L)'),
('delete_photo(''P001'', %L)'), ('delete_comparison_photo(''P001'', %L)'),
('delete_work_code(''P001'', %L)'), ('query_user(''P001'', %L)'),
('query_fingerprint(''P001'', %L)'), ('query_template(''P001'', 1, %L)'),
('set_option(''P001'', %L, ''1'')'), ('set_option(''P001'', ''A'', %L)'),
('get_file(''P001'', %L)'), ('put_file(''P001'', %L)'),
('put_file(''P001'', ''a'', %L)'), ('put_file(''S001'', ''a'', %L)'),
('enroll_fingerprint(''P001'', %L, 1)'), ('enroll_card(''P001'', %L)'),
('enroll_template(''P001'', %L, 9)'),
('enroll_template(''P001'', ''1'', 9, %L)'), ('run_shell(''P001'', %L)'),
('upgrade_firmware(''P001'', %L, ''aa'', 1)'),
('upgrade_firmware(''P001'', ''http://x/a'', %L, 1)'),
('upgrade_firmware(''P001'', ''http://x/a'', ''aa'', 1, file => %L)'),
('request_reupload(''P001'', %L)');

delete from iclock.command;
select is_empty(
    $$ select t.call, to_json(left(a.value, 20)), r.state, r.message
         from target t, attack a,
              lateral pg_temp.refused(format(t.call, a.value)) as r
        where r.state <> '22023' or r.message !~ '^argument "[a-z0-9_]+" ' $$,
    'no text argument lets anything through');
select is_empty('select from iclock.command', 'and nothing was queued');

-- the bytes of a message are those of the device's encoding

insert into iclock.device (serial_number, status, language, encoding)
values ('CH01', 'active', '83', null), ('CH02', 'active', '69', 'GB2312'),
       ('CH03', 'active', '69', null), ('RU01', 'active', '82', 'WINDOWS-1251'),
       ('KR01', 'active', '69', 'EUC-KR');
select is(r.state, s, format('%s: %s letters: %s', d, n, r.message))
  from (values ('CH01', 160, 'accepted'), ('CH01', 161, '22023'),
               ('CH02', 160, 'accepted'), ('CH02', 161, '22023'),
               ('CH03', 106, 'accepted'), ('CH03', 107, '22023'),
               ('KR01', 160, 'accepted'), ('KR01', 161, '22023'))
       as m (d, n, s),
       lateral pg_temp.refused(format('put_message(%L, 1, %L)', d,
                                      repeat(U&'\5F20', n))) as r;
select is(r.state, s, format('RU01: %s letters: %s', n, r.message))
  from (values (320, 'accepted'), (321, '22023')) as m (n, s),
       lateral pg_temp.refused(format('put_message(%L, 1, %L)', 'RU01',
                                      repeat(U&'\0416', n))) as r;

-- a table that no query brings: the stamp waits for the next start

select is(iclock.request_reupload('S001', 'OPERLOG'), null, 'no command');
select is((select s.stamp
             from iclock.upload_stamp s
             join iclock.device d on d.id = s.device_id
            where d.serial_number = 'S001'), '0', 'but a stamp');

-- what a device said itself is made harmless when it goes out again

insert into iclock.device_user (device_id, pin, name, password, card, time_zone)
select id, '5', E'A\tB\nC:1:REBOOT\u0085', E'\x01', E'x\ty', E'1\r'
  from iclock.device where serial_number = 'P001';
select is(pg_temp.sent($$put_user('P001', '5')$$),
          E'DATA UPDATE USERINFO PIN=5\tName=A B C:1:REBOOT \tPri=0\tPasswd= '
          '\tCard=x y\tGrp=1\tTZ=1 \tVerify=-1\tViceCard=',
          'stored control characters become blanks');

-- the limits that it has reported go out again, too

insert into iclock.device_user (device_id, pin, starts_at, ends_at)
select id, '6', '-infinity', '2026-06-30 18:00'
  from iclock.device where serial_number = 'P001';
select alike(pg_temp.sent($$put_user('P001', '6', 'Asha')$$),
             E'%\tStartDatetime=0\tEndDatetime=2026-06-30 18:00:00',
             'limits stay');

-- what reaches files, firmware or a shell

create role t_wire;
grant iclock_operator to t_wire;
create function pg_temp.as_operator(call text) returns text
    language sql as $$
    select pg_temp.as_role('t_wire', 'select iclock.' || call)
$$;
create temp table system (call text);
insert into system values
($$run_shell('P001', 'ls')$$),
($$get_file('P001', '/etc/passwd')$$),
($$get_file('S001', 'data/ssruser.dat')$$),
($$put_file('P001', 'http://x/a', '/etc/passwd')$$),
($$put_file('S001', 'http://x/a')$$),
($$upgrade_firmware('P001', 'http://x/a', 'aa', 1)$$),
($$upgrade_firmware('P001', 'http://x/a', 'aa', 1, 'base64')$$);
select is(pg_temp.as_operator(call), '42501', 'not every operator: ' || call)
  from system;
grant iclock_shell to t_wire;
select is(pg_temp.as_operator(call), 'ok', 'a member of iclock_shell: ' || call)
  from system;
revoke iclock_shell from t_wire;
select is(pg_temp.as_operator(c), 'ok', 'operator: ' || c)
  from unnest(array[
    $$put_bell('S001', 1, '08:00')$$,
    $$put_photo('P001', '1', 'x')$$,
    $$verify_attendance('P001', '2026-01-01', '2026-01-02')$$,
    $$verify_all()$$,
    $$register_device('P002', site => 'Hall')$$,
    $$set_device('P002', comm_key => 'k')$$,
    $$reset_device('P002', 'comm_key')$$,
    $$set_site('Hall', true)$$,
    $$sync_site('Hall')$$,
    $$delete_user_from_site('Hall', '1')$$,
    $$readmit_user('Hall', '1')$$,
    $$delete_device('P002')$$]) as c;
select is(pg_temp.as_operator(c), '42501', 'not operator: ' || c)
  from unnest(array[
    $$apply_command(1, 'CLEAR DATA')$$,
    $$queue_copy(1, 'x', 'SHELL ls')$$,
    $$begin_check(1, '2026-01-01', '2026-01-02', 3)$$,
    $$verify_due(1)$$,
    $$remote_attendance(1, '1')$$,
    $$upgrade_file(1, 'x')$$]) as c;

-- scheduling

delete from iclock.command;
select iclock.reboot('P001');
select ok(iclock.schedule_command(
              (select id from iclock.command), now() + interval '1 hour',
              now() + interval '2 hours', 7), 'put off');
select results_eq(
    $$ select priority, not_before - now(), expires_at - now()
         from iclock.command $$,
    $$ values (7, interval '1 hour', interval '2 hours') $$, 'until then');
select throws_ok(
    $$ select iclock.schedule_command(1, now() + interval '1 hour', now()) $$,
    '22023', null, 'not after it has expired');
select throws_ok($$ select iclock.schedule_command(-5) $$, 'P0002',
                 'there is no command with id -5');

select * from finish();
rollback;
