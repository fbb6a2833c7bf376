#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Handshakes: what is answered, by directives and by the device's row, and
# to whom; and that a device which is not answered 200 cannot do anything.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new(settings => [ [ log_statement => 'all' ] ]);

# a location for each setting: its name, its directives

my %locations = (
    iclock => '',
    hold => 'iclock_unknown_devices hold;',
    few => 'iclock_unknown_devices hold; iclock_pending_limit 3;',
    reject => 'iclock_unknown_devices reject;',
    key => 'iclock_comm_key sample1;',
    keyhold => 'iclock_comm_key sample1; iclock_unknown_devices hold;',

    delay => 'iclock_delay 20s;',
    error => 'iclock_error_delay 2m;',
    realtime => 'iclock_realtime off;',
    times => 'iclock_trans_times 06:00;',
    notimes => 'iclock_trans_times "";',
    interval => 'iclock_trans_interval 30m;',
    spaces => 'iclock_trans_flag spaces AttLog OpLog;',
    bits => 'iclock_trans_flag bits;',
    somebits => 'iclock_trans_flag bits AttLog OpLog FACE;',
    words => 'iclock_trans_flag tabs attlog USERPIC;',
    version => 'iclock_push_version 2.4.0;',
    options => 'iclock_push_options FingerFunOn,FaceFunOn;',
    data => 'iclock_multi_bio_data 0:1:1:0:0:0:0:0:0:0;',
    photo => 'iclock_multi_bio_photo 0:0:1:0:0:0:0:0:0:0;',
    faces => 'iclock_trans_flag tabs AttLog EnrollFACE FACE;',
    notz => 'iclock_send_timezone off;',

    utc => 'iclock_timezone UTC;',
    shanghai => 'iclock_timezone Asia/Shanghai;',
    kolkata => 'iclock_timezone Asia/Kolkata;',
    kathmandu => 'iclock_timezone Asia/Kathmandu;',
    stjohns => 'iclock_timezone America/St_Johns;',
    tongatapu => 'iclock_timezone Pacific/Tongatapu;',
    kiritimati => 'iclock_timezone Pacific/Kiritimati;',
    phoenix => 'iclock_timezone America/Phoenix;',
    midway => 'iclock_timezone Pacific/Midway;',
    west => 'iclock_timezone Etc/GMT+12;',
);

sub zone_of { $locations{$_[0]} =~ /iclock_timezone (\S+);/ ? $1 : undef }

my $conf = $t->device_server(http => 'iclock_presence_interval 1h;',
                             server => join '', map {
    my $text = $locations{$_};
    $text = "iclock_unknown_devices accept; $text"
        if $text !~ /unknown_devices/;
    $_ eq 'iclock' ? '' : "location /$_/ { iclock; $text }\n"
} sort keys %locations);

$t->start($conf);

# cheaper than psql()
my $session = $t->pg->session();

sub sql { join "\n", $session->query(@_) }


sub device { sql("SELECT $_[1] FROM iclock.device"
                 . " WHERE serial_number = '$_[0]'") }

sub hello {
    my ($where, $sn, $more, @option) = @_;

    return $t->get("/$where/cdata?SN=$sn&options=all"
                   . (defined $more && $more ne '' ? "&$more" : ''), @option);
}

# the lines of a reply that are not the usual ones: "-old" and "+new"

my %usual;

sub differences {
    my ($reply) = @_;

    return 'status ' . $reply->status if $reply->status != 200;

    my @line = split /\n/, $reply->body;
    my %line = map { $_ => 1 } @line;

    return join ' ', (map { "-$_" } grep { !$line{$_} } sort keys %usual),
                     (map { "+$_" } grep { !$usual{$_} } sort @line);
}


# the request lines that were seen

my $words = join "\t", qw/ AttLog OpLog AttPhoto EnrollFP EnrollUser FPImag
                           ChgUser ChgFP FACE UserPic WORKCODE BioPhoto /;

my $sdk_words = join "\t", qw/ AttLog OpLog AttPhoto EnrollUser ChgUser
                               EnrollFP ChgFP FPImag EnrollFACE ChgFACE
                               FACE /;

# the options that the device's row shows, and the kinds of templates

my $options = join ',', qw/ FWVersion IPAddress UserCount FPCount FaceCount
    TransactionCount FingerFunOn FaceFunOn FPVersion FaceVersion
    MultiBioDataSupport MultiBioPhotoSupport MultiBioVersion MultiBioDataCount
    MultiBioPhotoCount MaxMultiBioDataCount MaxMultiBioPhotoCount /;
my $data = '0:1:1:0:0:0:1:1:1:1';
my $photo = '0:0:1:0:0:0:0:0:0:1';

sub reply_to {
    my ($sn, $version) = @_;

    return <<"REPLY";
GET OPTION FROM: $sn
Stamp=0
OpStamp=0
PhotoStamp=0
ATTLOGStamp=0
OPERLOGStamp=0
ATTPHOTOStamp=0
BIODATAStamp=0
IDCARDStamp=0
ERRORLOGStamp=0
ErrorDelay=30
Delay=10
TransTimes=00:00;14:05
TransInterval=1
TransFlag=TransData $words
TimeZone=0
Realtime=1
Encrypt=0
EncryptFlag=00000000
ATTPHOTOBase64=0
ServerVer=2.4.1
PushProtVer=$version
PushOptionsFlag=1
PushOptions=$options
MultiBioDataSupport=$data
MultiBioPhotoSupport=$photo
REPLY
}

for ([ 'AJE0000000133', '2.4.1', '2.4.1', 69,
       'SN=AJE0000000133&options=all&language=69&pushver=2.4.1'
       . '&DeviceType=att&PushOptionsFlag=1' ],
     [ 'CEZ0000000241', '2.4.0', '2.4.0', 69,
       'PushOptionsFlag=2&SN=CEZ0000000241&language=69&options=all'
       . '&pushver=2.4.0' ],
     [ 'CEX0000000007', '2.4.0', '2.4.0', 83,
       'SN=CEX0000000007&options=all&language=83&pushver=2.4.0'
       . '&pushcommkey=sample1&PushOptionsFlag=1' ],
     [ 'NFZ0000001103', '2.0.33', '2.0.33S-20220613', 'English',
       'SN=NFZ0000001103&options=all&pushver=2.0.33S-20220613'
       . '&language=English' ],
     [ 'CGK0000002350', '2.0.33', '2.0.33S', '',
       'SN=CGK0000002350&pushver=2.0.33S' ],
     [ 'OLD0001', '2.1', '2.1', 'XX',
       'sn=OLD0001&options=all&pushver=2.1&language=XX' ],
     [ 'NOVER0001', '2.2.14', '', '', 'SN=NOVER0001&options=all' ],
     [ 'NEWER0001', '2.4.1', '3.1.2', '',
       'SN=NEWER0001&options=all&pushver=3.1.2' ],
     [ 'NEWER0002', '2.4.1', '2.10.0', '',
       'SN=NEWER0002&options=all&pushver=2.10.0' ],
     [ 'ODD00001', '2.2.14', 'new', '', 'SN=ODD00001&pushver=new' ])
{
    my ($sn, $version, $sent, $language, $query) = @$_;

    for my $which ('first', 'next') {
        my $r = $t->get("/iclock/cdata?$query");

        is($r->text, '200 ' . reply_to($sn, $version),
           "$sn: $which handshake");
        cmp_ok(length $r->head, '<', 2048, "$sn: length of the headers");
    }

    is(device($sn, 'status, push_version, language'),
       "active|$sent|$language", "$sn: the device's row");
}

%usual = map { $_ => 1 } split /\n/, reply_to('TEST0001', '2.4.1');


# each directive changes its line and no other

my $version = 'pushver=2.4.1';

for ([ iclock => '' ],
     [ delay => '-Delay=10 +Delay=20' ],
     [ error => '-ErrorDelay=30 +ErrorDelay=120' ],
     [ realtime => '-Realtime=1 +Realtime=0' ],
     [ times => '-TransTimes=00:00;14:05 +TransTimes=06:00' ],
     [ notimes => '-TransTimes=00:00;14:05 +TransTimes=' ],
     [ interval => '-TransInterval=1 +TransInterval=30' ],
     [ spaces => "-TransFlag=TransData $words"
                 . ' +TransFlag=TransData AttLog OpLog' ],
     [ bits => "-TransFlag=TransData $words +TransFlag=111111111111" ],
     [ somebits => "-TransFlag=TransData $words +TransFlag=110000001000" ],
     [ words => "-TransFlag=TransData $words"
                . " +TransFlag=TransData AttLog\tUserPic" ],
     [ faces => "-TransFlag=TransData $words"
                . " +TransFlag=TransData AttLog\tFACE" ],
     [ version => '-PushProtVer=2.4.1 -ServerVer=2.4.1'
                  . ' +PushProtVer=2.4.0 +ServerVer=2.4.0' ],
     [ options => "-PushOptions=$options"
                  . ' +PushOptions=FingerFunOn,FaceFunOn' ],
     [ data => "-MultiBioDataSupport=$data"
               . ' +MultiBioDataSupport=0:1:1:0:0:0:0:0:0:0' ],
     [ photo => "-MultiBioPhotoSupport=$photo"
                . ' +MultiBioPhotoSupport=0:0:1:0:0:0:0:0:0:0' ],
     [ notz => '-TimeZone=0' ])
{
    my ($where, $expected) = @$_;

    is(differences(hello($where, 'TEST0001', $version)), $expected,
       "directive: $where");
}


# as does each column of the device's row

for ([ 'delay = 25', '-Delay=10 +Delay=25' ],
     [ 'error_delay = 90', '-ErrorDelay=30 +ErrorDelay=90' ],
     [ 'realtime = false', '-Realtime=1 +Realtime=0' ],
     [ "trans_times = '07:30;19:30'",
       '-TransTimes=00:00;14:05 +TransTimes=07:30;19:30' ],
     [ "trans_times = ''", '-TransTimes=00:00;14:05 +TransTimes=' ],
     [ 'trans_interval = 0', '-TransInterval=1 +TransInterval=0' ],
     [ "trans_flag = 'spaces AttLog'",
       "-TransFlag=TransData $words +TransFlag=TransData AttLog" ],
     [ "trans_flag = 'bits'",
       "-TransFlag=TransData $words +TransFlag=111111111111" ],
     [ 'bare_stamps = false', '-OpStamp=0 -PhotoStamp=0 -Stamp=0' ],
     [ "push_options = 'A,B'", "-PushOptions=$options +PushOptions=A,B" ],
     [ "multi_bio_data = '0:1'",
       "-MultiBioDataSupport=$data +MultiBioDataSupport=0:1" ],
     [ "multi_bio_photo = '1:0'",
       "-MultiBioPhotoSupport=$photo +MultiBioPhotoSupport=1:0" ],
     [ "max_push_version = '2.3.0'", '-PushProtVer=2.4.1 -ServerVer=2.4.1'
       . ' +PushProtVer=2.3.0 +ServerVer=2.3.0' ],
     [ "max_push_version = '9.9'", '' ],
     [ "timezone = 'Asia/Shanghai'", '-TimeZone=0 +TimeZone=8' ],
     [ 'send_timezone = false', '-TimeZone=0' ],
     [ "dialect = '3.2'", "-ATTPHOTOBase64=0 -BIODATAStamp=0 -ERRORLOGStamp=0"
       . ' -EncryptFlag=00000000 -IDCARDStamp=0 -OpStamp=0 -PhotoStamp=0'
       . " -Stamp=0 -TransFlag=TransData $words +SyncTime=3600 +Timeout=60"
       . " +TransFlag=$sdk_words" ],
     [ "name = 'x', site = 'y', encoding = 'gbk'", '' ])
{
    my ($set, $expected) = @$_;

    sql("UPDATE iclock.device SET $set"
        . " WHERE serial_number = 'TEST0001'");
    is(differences(hello('iclock', 'TEST0001', $version)), $expected,
       "row: $set");

    my ($column) = $set =~ /^(\w+)/;

    sql("UPDATE iclock.device SET $column = DEFAULT"
        . " WHERE serial_number = 'TEST0001'");
}

is(differences(hello('iclock', 'TEST0001', $version)), '', 'all as before');

# the row against the directive

sql("UPDATE iclock.device SET delay = 10, error_delay = 30,"
    . " realtime = true, send_timezone = true, push_options = '',"
    . " trans_times = '00:00;14:05', trans_interval = 1"
    . " WHERE serial_number = 'TEST0001'");
is(differences(hello($_, 'TEST0001', $version)), "-PushOptions=$options",
   "the row overrides the directive: $_")
    for qw/ delay error realtime notz options times interval /;

# nothing in a row can begin a line

for my $column (qw/ trans_times push_options multi_bio_data multi_bio_photo
                    trans_flag /)
{
    my ($status) = $t->pg->psql_try("UPDATE iclock.device SET $column ="
                       . " E'tabs\\nICLOCKSVRURL=x'"
                       . " WHERE serial_number = 'TEST0001'");
    isnt($status, 0, "no end of line in $column");
}


# stamps: for each table its own, in both styles

my $d = $t->device('STAMP0001', port => $t->port);

$d->handshake();

for ([ ATTLOG => 'Stamp=82983982' ], [ OPERLOG => 'OpStamp=9238883' ],
     [ ATTPHOTO => 'PhotoStamp=9238833' ],
     [ BIODATA => 'Stamp=2026-09-22T09:31:05' ], [ IDCARD => 'Stamp=None' ],
     [ ERRORLOG => 'Stamp=9999' ])
{
    my ($table, $stamp) = @$_;

    is($t->post("/iclock/cdata?SN=STAMP0001&table=$table&$stamp", '')->status,
       200, "a stamp of $table");
}

is($d->handshake()->body =~ s/^ErrorDelay.*//msr, <<'REPLY', 'are echoed');
GET OPTION FROM: STAMP0001
Stamp=82983982
OpStamp=9238883
PhotoStamp=9238833
ATTLOGStamp=82983982
OPERLOGStamp=9238883
ATTPHOTOStamp=9238833
BIODATAStamp=2026-09-22T09:31:05
IDCARDStamp=None
ERRORLOGStamp=9999
REPLY

sql("DELETE FROM iclock.upload_stamp WHERE table_name = 'OPERLOG'");
like($d->handshake()->body, qr/^Stamp=82983982\nOpStamp=0\n/m,
     'a stamp that was removed is 0: the device sends everything again');


# TimeZone: hours up to eleven, else minutes

my %timezone = (utc => 0, shanghai => 8, kolkata => 330, kathmandu => 345,
                tongatapu => 780, kiritimati => 840, phoenix => -7,
                midway => -11, west => -720);

# this one changes its clocks

$timezone{stjohns} = sql("SELECT extract(epoch FROM now() AT TIME ZONE"
                         . " 'America/St_Johns'"
                         . " - now() AT TIME ZONE 'UTC')::integer / 60");

for my $where (sort keys %timezone) {
    like(hello($where, "TZ-$where")->body, qr/^TimeZone=$timezone{$where}\n/m,
         'TimeZone: ' . zone_of($where));
}

unlike(hello('notz', 'TZ-none')->body, qr/TimeZone/, 'no TimeZone');


# clocks of SDK 3.2.0 are known by their version, unless an operator says else

my $sdk = hello('iclock', 'SDK00001', 'pushver=2.0.3.636&language=69');

is($sdk->text, '200 ' . <<"REPLY", 'SDK 3.2.0: first handshake');
GET OPTION FROM: SDK00001
ATTLOGStamp=0
OPERLOGStamp=0
ATTPHOTOStamp=0
ErrorDelay=30
Delay=10
TransTimes=00:00;14:05
TransInterval=1
TransFlag=$sdk_words
TimeZone=0
Realtime=1
Encrypt=0
Timeout=60
SyncTime=3600
ServerVer=2.4.1
PushProtVer=2.0.3.636
PushOptionsFlag=1
PushOptions=$options
MultiBioDataSupport=$data
MultiBioPhotoSupport=$photo
REPLY
cmp_ok(length $sdk_words, '<=', 90, 'at most 90 characters of words');
is(device('SDK00001', 'dialect, recognized_dialect'), '3.2|3.2',
   "the device's row");

$t->post("/iclock/cdata?SN=SDK00001&table=$_&Stamp=2026-01-02T03:04:05", '')
    for qw/ USERINFO FINGERTMP FACETMP ATTLOG /;

$sdk = hello('iclock', 'SDK00001', 'pushver=2.0.3.636&language=69');
is(join(' ', $sdk->body =~ /^(\w*Stamp=\S+)$/mg),
   'ATTLOGStamp=2026-01-02T03:04:05 OPERLOGStamp=0 ATTPHOTOStamp=0'
   . ' USERINFOStamp=2026-01-02T03:04:05 FINGERTMPStamp=2026-01-02T03:04:05'
   . ' FACETMPStamp=2026-01-02T03:04:05', 'its stamps are returned');

like(hello('iclock', 'SDK00001', 'pushver=2.0.1&language=69')->body,
     qr/\nStamp=2026-01-02T03:04:05\nOpStamp=0\nPhotoStamp=0\n
        ATTLOGStamp=2026-01-02T03:04:05\n/x, 'before 2.0.3: in both styles');

like(hello('notz', 'SDK00001', 'pushver=2.0.3.636')->body,
     qr/^SyncTime=0\n/m, 'its clock is left alone');

sql("SELECT iclock.set_device('SDK00001', dialect => '2.4')");
like(hello('iclock', 'SDK00001', 'pushver=2.0.3.636')->body,
     qr/^TransFlag=TransData /m, "an operator's choice wins");
is(device('SDK00001', 'dialect, recognized_dialect'), '2.4|3.2',
   'the row keeps it');
sql("SELECT iclock.reset_device('SDK00001', 'dialect')");
like(hello('iclock', 'SDK00001', 'pushver=2.2.14')->body,
     qr/^TransFlag=TransData /m, 'new firmware');
is(device('SDK00001', 'dialect, recognized_dialect'), '2.4|2.4', 'is known');
hello('iclock', 'SDK00001', 'pushver=new');
is(device('SDK00001', 'dialect, recognized_dialect'), '2.4|2.4',
   'nothing is certain');


# what the handshake said of the time is kept

for ([ kathmandu => 'TZ-kathmandu', 'Asia/Kathmandu|345' ],
     [ notz => 'TZ-none', 'UTC|' ])
{
    my ($where, $device, $expected) = @$_;

    is(device($device, 'default_timezone, told_offset'), $expected,
       "kept: $where");
}

# a clock runs by its last handshake, also when the directive has changed since

for ([ 'TZ-kathmandu', '05:45:00' ], [ 'TZ-none', '08:00:00' ],
     [ 'TZ-kolkata', '05:30:00' ])
{
    my ($device, $expected) = @$_;

    $t->post("/shanghai/cdata?SN=$device&table=ATTLOG&Stamp=1",
             "1\t2026-11-21 12:00:00\t0\t1\n");
    $t->post("/shanghai/cdata?SN=$device&table=OPERLOG&OpStamp=1",
             "OPLOG 4\t0\t2026-11-21 12:00:00\t0\t0\t0\t0\n");

    is(sql("SELECT local_time - timezone('UTC', moment) FROM (SELECT"
           . ' device_id, local_time, punched_at FROM iclock.punch'
           . ' UNION ALL SELECT device_id, local_time, operated_at FROM'
           . ' iclock.operation) AS x (device_id, local_time, moment)'
           . ' JOIN iclock.device d ON d.id = x.device_id'
           . " WHERE serial_number = '$device'"),
       "$expected\n$expected", "$device: the moment of what it sends");
}

sql('DELETE FROM iclock.punch');

sql("UPDATE iclock.device SET told_offset = 60 WHERE serial_number"
    . " IN ('TZ-kathmandu', 'TZ-kolkata', 'TZ-none')");
$t->reload();
ok(wait_until(60, sub { $t->get('/kathmandu/getrequest?SN=TZ-kathmandu')->body
                        =~ /^C:\d+:CHECK$/m }),
   'another offset than at the last handshake: it shakes hands again');
is(device('TZ-kathmandu', 'told_offset'), 345, 'that is noted');
sql("UPDATE iclock.device SET told_offset = 60"
    . " WHERE serial_number = 'TZ-kathmandu'");
hello('kathmandu', 'TZ-kathmandu');
is(device('TZ-kathmandu', 'told_offset'), 345, 'the next handshake tells it');


# type=time and Date

for ([ utc => '+00:00' ], [ kathmandu => '+05:45' ], [ phoenix => '-07:00' ],
     [ stjohns => sprintf '-%02d:%02d', -$timezone{stjohns} / 60,
                          -$timezone{stjohns} % 60 ])
{
    my ($where, $offset) = @$_;
    my $r;
    my $zone = zone_of($where);
    my ($before, $after);

    # the clock of nginx may be a second behind
    $before = sql("SELECT to_char(now() AT TIME ZONE '$zone'"
                  . " - interval '2 s', 'YYYY-MM-DD\"T\"HH24:MI:SS')");
    $r = $t->get("/$where/cdata?SN=TZ-$where&type=time");
    $after = sql("SELECT to_char(now() AT TIME ZONE '$zone'"
                 . " + interval '1 s', 'YYYY-MM-DD\"T\"HH24:MI:SS')");

    my ($time, $got) = $r->text =~ /^200 Time=(\S{19})(\S{6})\z/;

    is($got, $offset, "type=time: $zone");
    ok(defined $time && $before le $time && $time le $after, "$zone: the time")
        or diag("$before $time $after");
}

# at once what the row says, and no time for clocks that are left alone

my $offset_of = sub {
    my $r = $t->get("/$_[0]/cdata?SN=TZ-utc&type=time");
    return $r->text =~ /^200 Time=\S{19}(\S{6})\z/ ? $1 : $r->status;
};

for ([ "timezone = 'Asia/Tokyo'", '+09:00' ],
     [ "timezone = 'Asia/Kathmandu'", '+05:45' ],
     [ 'timezone = NULL', '+00:00' ],
     [ 'send_timezone = false', 404 ], [ 'send_timezone = NULL', '+00:00' ])
{
    my ($set, $expected) = @$_;

    sql("UPDATE iclock.device SET $set WHERE serial_number = 'TZ-utc'");
    is($offset_of->('utc'), $expected, "type=time: $set");
}

is($offset_of->('notz'), 404, 'type=time: iclock_send_timezone off');
sql("UPDATE iclock.device SET send_timezone = true"
    . " WHERE serial_number = 'TZ-utc'");
is($offset_of->('notz'), '+00:00', 'the row overrides it');

like(hello('utc', 'TZ-utc')->header('date'),
     qr/^\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT$/, 'Date');


# hold

my $hold = sub { $t->device('HOLD0001', port => $t->port, path => '/hold') };

is($hold->()->handshake()->status, 401, 'hold: handshake');
is(device('HOLD0001', 'status'), 'pending', 'the device is pending');
is($hold->()->handshake()->status, 401, 'hold: again');

for ([ 'upload', sub { $_[0]->punches([ 1, '2026-09-22 09:31:05' ]) } ],
     [ 'poll', sub { $_[0]->poll() } ], [ 'ping', sub { $_[0]->ping() } ],
     [ 'acknowledgement', sub { $_[0]->ack(1, 0) } ])
{
    my ($name, $code) = @$_;
    my $r = $code->($hold->());

    is($r->status, 503, "hold: $name");
    is($r->header('retry-after'), 30, "hold: $name: Retry-After");
}

is($t->device('HOLD0002', port => $t->port, path => '/hold')
     ->punches([ 1, '2026-09-22 09:31:05' ])->status, 503,
   'hold: an upload without handshake');
is(device('HOLD0002', 'status'), 'pending', 'the device is pending, too');
is(sql('SELECT count(*) FROM iclock.punch'), 0, 'nothing is stored');

# approved, without a restart

sql("SELECT iclock.approve_device('HOLD0001')");
is($hold->()->handshake()->status, 200, 'approved: the next handshake');
is($hold->()->punches([ 1, '2026-09-22 09:31:05' ])->text, '200 OK: 1',
   'approved: an upload');
is(sql('SELECT count(*) FROM iclock.punch'), 1, 'it is stored');

sql("SELECT iclock.approve_device('HOLD0002')");
ok(wait_until(60, sub { $t->device('HOLD0002', port => $t->port)->poll()
                          ->status == 200 }),
   'approved: polls, without a handshake');

# blocked

sql("SELECT iclock.block_device('HOLD0001')");
is($hold->()->handshake()->status, 403, 'blocked: the next handshake');

for ([ 'upload', sub { $_[0]->punches([ 2, '2026-09-22 09:31:05' ]) } ],
     [ 'poll', sub { $_[0]->poll() } ], [ 'ping', sub { $_[0]->ping() } ],
     [ 'acknowledgement', sub { $_[0]->ack(1, 0) } ],
     [ 'time', sub { $_[0]->send('cdata', ['type=time']) } ])
{
    my ($name, $code) = @$_;

    is($code->($hold->())->status, 403, "blocked: $name");
}

sql("SELECT iclock.block_device('HOLD0002')");
ok(wait_until(60, sub { $t->device('HOLD0002', port => $t->port)->poll()
                          ->status == 403 }),
   'blocked: polls, without a handshake');
is(sql('SELECT count(*) FROM iclock.punch'), 1, 'nothing is stored');


# accept and reject

is($t->device('ACCEPT01', port => $t->port)
     ->punches([ 3, '2026-09-22 09:31:05' ])->text, '200 OK: 1',
   'accept: an upload without handshake');
is(device('ACCEPT01', 'status'), 'active', 'the device is active');

for ([ 'handshake', sub { $_[0]->handshake() } ],
     [ 'upload', sub { $_[0]->punches([ 2, '2026-09-22 09:31:05' ]) } ],
     [ 'poll', sub { $_[0]->poll() } ], [ 'ping', sub { $_[0]->ping() } ])
{
    my ($name, $code) = @$_;

    is($code->($t->device('REJECT01', port => $t->port, path => '/reject'))
         ->status, 403, "reject: $name");
}

is(device('REJECT01', 'count(*)'), 0, 'reject: no row');
is(hello('reject', 'ACCEPT01')->status, 200, 'reject: a known device');


# at most so many pending devices

sql("DELETE FROM iclock.device WHERE status = 'pending'");

is(join(',', map { hello('few', "MANY-$_")->status } 0 .. 9),
   join(',', (401) x 10), 'ten unknown devices');
is(sql("SELECT count(*) FROM iclock.device WHERE status = 'pending'"), 3,
   'three are recorded');
is(join(',', map { $_->status } $t->concurrently(
       [ map { [ 'GET', "/few/cdata?SN=MORE-$_&options=all" ] } 0 .. 29 ])),
   join(',', (401) x 30), 'thirty at once');
is(sql("SELECT count(*) FROM iclock.device WHERE status = 'pending'"), 3,
   'no more are recorded');
is($t->device('MANY-9', port => $t->port, path => '/few')->poll()->status,
   503, 'a poll of one that is not');
is(hello('hold', 'MANY-9')->status, 401, 'where the limit is higher');
is(device('MANY-9', 'status'), 'pending', 'it is recorded');


# the communication key

for (qw/ pushcommkey PushCommKey ComKey Comkey /) {
    is(hello('key', "KEY-$_", "$_=sample1")->status, 200, "key as $_");
    is(device("KEY-$_", 'status'), 'active', "key as $_: the device's row");
}

for ([ 'none', '' ], [ 'wrong', 'pushcommkey=sample2' ],
     [ 'prefix', 'pushcommkey=sample' ], [ 'longer', 'pushcommkey=sample11' ],
     [ 'case', 'pushcommkey=SAMPLE1' ], [ 'empty', 'pushcommkey=' ])
{
    my ($name, $query) = @$_;

    for my $where (qw/ key keyhold /) {
        is(hello($where, "NOKEY-$name", $query)->status, 403,
           "$where: key: $name");
    }

    is($t->post("/key/cdata?SN=NOKEY-$name&table=ATTLOG&Stamp=1&$query",
                "1\t2026-09-22 09:31:05\n")->status, 403, "upload: $name");
    is(device("NOKEY-$name", 'count(*)'), 0, "key: $name: no row");
}

is(hello('keyhold', 'KEYHOLD', 'pushcommkey=sample1')->status, 401,
   'the right key under hold');
is(device('KEYHOLD', 'status'), 'pending', 'the device is pending');

# a known device with a wrong key, then its uploads from that address

my $sn = 'KEY-ComKey';
my $post = sub { $t->post("/key/cdata?SN=$sn&table=ATTLOG&Stamp=1",
                          "$_[0]\t2026-09-22 10:00:00\n", @_[1 .. $#_]) };

is($post->(1)->text, '200 OK: 1', 'an upload after the right key');
is(hello('key', $sn, 'ComKey=wrong&pushver=9.9.9&language=83')->status, 403,
   'a known device with a wrong key');
is(device($sn, 'push_version, language'), '|', 'nothing of it is stored');
is($post->(2)->status, 403, 'uploads from that address are refused');
is($t->get("/key/getrequest?SN=$sn")->status, 403, 'polls, too');
is($post->(3, -local => '127.0.0.2')->text, '200 OK: 1',
   'not those from another');
is(hello('key', $sn, 'ComKey=sample1')->status, 200, 'the right key again');
is($post->(4)->text, '200 OK: 1', 'uploads are taken again');
is(sql("SELECT string_agg(pin, ',' ORDER BY pin) FROM iclock.punch"
       . " WHERE local_time = '2026-09-22 10:00:00'"), '1,3,4',
   'what was refused is not stored');

# a device's own key

sql("UPDATE iclock.device SET comm_key = 'own' WHERE serial_number"
    . " IN ('$sn', 'ACCEPT01')");
is(hello('key', $sn, 'ComKey=sample1')->status, 403,
   "the location's key for a device with its own");
is(hello('key', $sn, 'ComKey=own')->status, 200, "the device's own key");
is(hello('iclock', 'ACCEPT01')->status, 403,
   'a key where the location has none');
is(hello('iclock', 'ACCEPT01', 'ComKey=own')->status, 200, 'it is right');

# The first call is known when it has been answered: whoever is refused has not
# called, and those who are let in need not wait for their presence.

sql("SELECT iclock.register_device('FIRST001'),"
    . " iclock.register_device('FIRST002')");

my $unheard = sub { sql("SELECT string_agg(serial_number, ' ' ORDER BY 1)"
    . ' FROM iclock.device_conditions() c JOIN iclock.device d'
    . " ON d.id = c.device_id WHERE condition = 'never'"
    . " AND serial_number LIKE 'FIRST%'") };

is(hello('key', "FIRST00$_", 'ComKey=wrong')->status, 403, "FIRST00$_: no key")
    for 1, 2;
is($unheard->(), 'FIRST001 FIRST002', 'refused: never called');
is(hello('key', 'FIRST001', 'ComKey=sample1')->status, 200, 'the right key');
is($unheard->(), 'FIRST002', 'it has called, the other has not');
is(device('FIRST001', 'first_seen = last_seen'), 't', 'once');


# networks

sql("INSERT INTO iclock.device (serial_number, status, allowed_networks)"
    . " VALUES ('NET0001', 'active', '{10.0.0.0/8,127.0.0.2/32}')");

for my $round (1, 2) {
    for ([ '127.0.0.1', 403 ], [ '127.0.0.2', 200 ]) {
        my ($from, $status) = @$_;

        is(hello('iclock', 'NET0001', $version, -local => $from)->status,
           $status, "$round: handshake from $from");
        is($t->post('/iclock/cdata?SN=NET0001&table=ATTLOG&Stamp=1',
                    "1\t2026-09-22 11:00:00\t0\t$status\n", -local => $from)
             ->status, $status, "$round: upload from $from");
        is($t->get('/iclock/getrequest?SN=NET0001', -local => $from)->status,
           $status, "$round: poll from $from");
    }
}

is(sql("SELECT string_agg(verify::text, ',') FROM iclock.punch"
       . " WHERE local_time = '2026-09-22 11:00:00'"), '200',
   'what was refused is not stored');

sql("UPDATE iclock.device SET allowed_networks = '{127.0.0.0/8}'"
    . " WHERE serial_number = 'NET0001'");
is(hello('iclock', 'NET0001')->status, 200, 'a network that holds both');

sql("UPDATE iclock.device SET allowed_networks = '{}'"
    . " WHERE serial_number = 'NET0001'");
is(hello('iclock', 'NET0001')->status, 403, 'no network at all');

sql("UPDATE iclock.device SET allowed_networks = '{127.0.0.0/8}'"
    . " WHERE serial_number = 'NET0001'");
is(hello('iclock', 'NET0001')->status, 200, 'allowed');
sql("UPDATE iclock.device SET allowed_networks = '{10.0.0.0/8}'"
    . " WHERE serial_number = 'NET0001'");
ok(wait_until(60, sub { $t->get('/iclock/getrequest?SN=NET0001')->status
                        == 403 }), 'a poll after the network has changed');

sql("UPDATE iclock.device SET allowed_networks = NULL"
    . " WHERE serial_number = 'NET0001'");
ok(wait_until(30, sub {
    $t->post('/iclock/cdata?SN=NET0001&table=options', "~UserCount=7\n");
    sql("SELECT user_count FROM iclock.device"
        . " WHERE serial_number = 'NET0001'") == 7
}), 'options are stored');


# Options and handshakes that share a transaction: the devices of both are
# looked up in one that had to wait for the only connection.  What nginx itself
# asks once a second may have come between: then others do the same.

sql('INSERT INTO iclock.device (id, serial_number, status) VALUES'
    . " (900003, 'LOCK6', 'active'), (900002, 'LOCK7', 'active'),"
    . " (900001, 'LOCK8', 'active')");
$t->psql('ALTER TABLE iclock.device_option'
         . " ADD CONSTRAINT no_evil CHECK (name <> 'Evil')");

$t->quit();
$t->start($t->device_server(pool => 'connections=1 timeout=10m',
              server => 'location = /metrics { iclock_status prometheus; }'),
          workers => 1);

# the transactions that have run since the log was so long: their statements

sub transactions {
    my ($had) = @_;

    # what is due is looked for in whichever comes next
    my $executed = join ' ', grep { $_ ne 'iclock_due' }
                   substr(slurp($t->pg->{log}), $had) =~ /execute (\w+): /g;

    return split / ?iclock_guard ?/, $executed;
}


sub later {
    my $c = Test::IClock::HTTP->new(port => $t->port);

    $c->write(Test::IClock::HTTP::format_request(@_));

    return $c;
}


my $rounds = 0;

sub beside_handshakes {
    my ($options) = @_;

    my $all;

    for (1 .. 20) {
        my $n = 100 + ++$rounds;

        sql('INSERT INTO iclock.device (serial_number, status) VALUES'
            . " ('ASK$n', 'active'), ('TELL$n', 'active')");

        my $row = $t->pg->hold('SELECT FROM iclock.device WHERE id = 900002'
                               . ' FOR UPDATE');
        my $had = -s $t->pg->{log};
        my @later = later(POST => '/iclock/cdata?SN=LOCK7&table=ATTLOG&Stamp=1',
                          "$n\t2026-09-22 12:00:00\t0\t1\n");

        ok($t->pg->wait_blocked(), "$n: an upload waits");
        push @later,
            later(GET => "/iclock/cdata?SN=ASK$n&options=all&pushver=2.4.1"),
            later(GET => "/iclock/cdata?SN=NEW$n&options=all&pushver=2.4.1"),
            later(POST => "/iclock/cdata?SN=TELL$n&table=options", $options);

        # then they have been read
        is($t->get('/metrics')->status, 200, "$n: nginx does not wait");
        $row->release();
        is($_->read->status, 200, "$n: is answered") for @later;

        ($all) = grep { /option/ } transactions($had);
        last if $all =~ /register/;
    }

    return ($all, sql("SELECT string_agg(concat_ws(' ', left(serial_number,"
                      . " -3), user_count, push_version), ',' ORDER BY"
                      . ' serial_number) FROM iclock.device WHERE'
                      . " serial_number ~ '^(ASK|NEW|TELL)"
                      . (100 + $rounds) . "\$'"));
}


my ($statements, $stored) = beside_handshakes('UserCount=5');

is($statements, 'iclock_register iclock_greeted_option iclock_greet'
                . ' iclock_lookup', 'one after the other');
is($stored, 'ASK -1 2.4.1,NEW -1 2.4.1,TELL 5', 'all is stored');
ok(wait_until(30, sub { $t->get('/metrics')->body
       =~ /^iclock_records_total\{kind="option",result="stored"\} $rounds$/m }),
   'is counted');

($statements, $stored) = beside_handshakes('UserCount=6,Evil=1');

is($statements, 'iclock_register iclock_greeted_option', 'one that fails');
is($stored, 'ASK -1 2.4.1,NEW -1 2.4.1,TELL 6', 'all that can be stored is');
is(sql('SELECT count(*) FROM iclock.rejected_line r JOIN iclock.device d'
       . " ON d.id = r.device_id WHERE reason LIKE '23514: %' AND"
       . " serial_number = 'TELL" . (100 + $rounds) . "'"), 1,
   'the rest is kept');

my $had = -s $t->pg->{log};

$t->post('/iclock/cdata?SN=LOCK7&table=options', 'UserCount=7');
is(join(',', grep { /option/ } transactions($had)), 'iclock_option',
   'options alone: their own statement');


# the statements as they are sent, and the types of their parameters

my %parameters = (
    iclock_greet => [ ('text') x 5, ('integer') x 3 ],
    iclock_lookup => [ ('text') x 3, 'integer' ],
    iclock_option => [ 'bigint', 'integer', 'text', 'text' ],
    iclock_greeted_option => [ 'bigint', 'integer', ('text') x 3 ],
    iclock_operation => [ 'bigint', 'text', 'timestamp', 'integer',
                          ('text') x 5 ],
);

sub prepare {
    my ($name) = @_;

    my ($text) = slurp($t->pg->{log}) =~ /execute $name: (.*)/;

    return "SET plan_cache_mode = force_generic_plan; PREPARE $name ("
           . join(', ', map { "$_\[]" } @{$parameters{$name}}) . ") AS $text;";
}


# Devices are locked by their ids, neither by serial numbers, nor as they lie in
# the table, nor as they are sent: transactions that have the same ones wait
# for each other, and none for the one that waits for it.

my $free_options;

sub first_locked {
    my ($name, @array) = @_;

    my $held = $t->pg->hold('SELECT FROM iclock.device WHERE id = 900002'
                            . ' FOR NO KEY UPDATE');
    my $other = $t->pg->background("SET application_name = 'locks';"
        . prepare($name) . "EXECUTE $name ("
        . join(', ', map { "'{$_}'" } @array) . ')');

    wait_until(30, sub { sql('SELECT count(*) FROM pg_stat_activity'
                             . " WHERE application_name = 'locks'"
                             . " AND wait_event_type = 'Lock'") })
        or diag("$name waits for nothing");

    my $free = sql('SELECT id FROM iclock.device WHERE id > 900000'
                   . ' ORDER BY id FOR NO KEY UPDATE SKIP LOCKED');

    $free_options = sql('SELECT device_id FROM iclock.device_option'
                   . " WHERE device_id > 900000 AND name = 'UserCount'"
                   . ' ORDER BY device_id FOR UPDATE SKIP LOCKED');

    $held->release();
    $other->wait();

    return $free;
}


sub lock_order {
    my ($fleet, $n) = @_;

    sql('ANALYZE iclock.device');

    is(first_locked(iclock_greet => 'LOCK7,LOCK6,LOCK8', "$n,$n,$n",
                    map({ "$_,$_,$_" } 69, 2.4, 'UTC', 0, 10), '1,2,3'),
       900003, "$fleet: handshakes have locked the first device alone");
    is(first_locked(iclock_option => '900002,900003,900001', '1,2,3',
                    'UserCount,UserCount,UserCount', "$n,$n,$n"),
       900003, "$fleet: options, too");
    is(first_locked(iclock_greeted_option => '900003', 1, 'UserCount', "7$n",
                    'LOCK7,LOCK8'),
       900003, "$fleet: options beside handshakes those of both");

    # an upload that has no handshakes beside it locks them in this order, too
    is($free_options, "900001\n900002", "$fleet: options were locked before");

    is(sql("SELECT string_agg(push_version || ' ' || user_count, ',' ORDER BY"
           . ' id) FROM iclock.device WHERE id BETWEEN 900001 AND 900003'),
       join(',', ("$n $n") x 2, "$n 7$n"), "$fleet: all is stored");
}


lock_order('a small fleet', 1);

# in a fleet of some hundred devices nobody reads them all to find one

sql("INSERT INTO iclock.device (serial_number)"
    . " SELECT 'FLEET' || i FROM generate_series(1, 1000) AS i");

lock_order('a fleet', 2);

for my $name (sort keys %parameters) {
    my $plan = sql(prepare($name) . " EXPLAIN (COSTS OFF) EXECUTE $name ("
                   . join(', ', map { "'{}'" } @{$parameters{$name}}) . ')');

    like($plan, qr/Index Scan using device_/, "$name looks for a device");
    unlike($plan, qr/Seq Scan on device /, 'and reads no others');
    unlike($plan, qr/Function Scan/, 'nor makes a table of each array');
}

$t->done();
