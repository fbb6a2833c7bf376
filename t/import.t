#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Punches of terminals that cannot push: the lines of README.md, run by psql on
# files in the shapes that terminals and the maker's software write.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $readme = slurp("$FindBin::Bin/../README.md");
my ($section) = $readme =~ /^### Import\n(.*?)^##/ms;
my ($register, $usb, $legacy)
    = ($section || '') =~ /^((?:    [^\n]*\n)+)/mg;

ok($register && $usb && $legacy, 'README has both ways');

s/^    //mg for $register, $usb, $legacy;

my $t = Test::IClock->new;
my $dir = $t->dir;

$t->psql(<<'END');
SELECT iclock.register_device('AJE0000000134', timezone => 'Asia/Kolkata');
SELECT iclock.register_device('AJE0000000135');
CREATE ROLE clerk LOGIN;
GRANT iclock_operator TO clerk;
GRANT iclock_reader TO clerk;
END
$t->psql($register);


sub file {
    my ($name, $text) = @_;

    open my $handle, '>:raw', "$dir/$name" or die "$dir/$name: $!";
    print $handle $text;
    close $handle;
    chmod 0644, "$dir/$name";

    return;
}


sub import_rows {
    my ($sql) = @_;

    $sql =~ s/FROM '([^'\/]+)' CSV/FROM '$dir\/$1' CSV/g;

    my ($status, $out, $err) = $t->pg->psql_try($sql, user => 'clerk');

    return $status == 0 ? $out : $err;
}


sub punches {
    return join "\n", $t->psql_lines(
        "SELECT pin, local_time, status, verify, work_code,"
        . " punched_at AT TIME ZONE 'UTC' FROM iclock.punch"
        . " ORDER BY local_time, pin");
}


# a USB stick

my $attlog = <<'END';
        1	2026-11-02 08:59:01	1	0	1	0
        1	2026-11-02 18:10:22	1	1	15	0
   A-1002	2026-11-02 09:00:00	1	255	4	17

        1	2026-11-02 08:59:01	1	0	1	0
garbage
        7	2026-02-30 10:00:00	1	0	1	0
        8	11/02/26 10:00:00	1	0	1	0
         	2026-11-02 10:00:00	1	0	1	0
        9	2026-11-02 10:00:00	1	x	1	0
     1003	2026-11-02 10:30:00
END

file('1_attlog.dat', $attlog);

is(import_rows($usb), <<'END', 'a file of a USB stick');
stored|4|||
known|1|||
bad|1|6|no time as 2026-11-30 08:00:00|garbage
bad|1|7|no time as 2026-11-30 08:00:00|        7	2026-02-30 10:00:00	1	0	1	0
bad|1|8|no time as 2026-11-30 08:00:00|        8	11/02/26 10:00:00	1	0	1	0
bad|1|9|no PIN|         	2026-11-02 10:00:00	1	0	1	0
bad|1|10|status or verify is no number|        9	2026-11-02 10:00:00	1	x	1	0
END
is(punches(), <<'END' =~ s/\n\z//r, 'what is stored, with the moment');
1|2026-11-02 08:59:01|0|1|0|2026-11-02 03:29:01
A-1002|2026-11-02 09:00:00|255|4|17|2026-11-02 03:30:00
1003|2026-11-02 10:30:00|-1|-1||2026-11-02 05:00:00
1|2026-11-02 18:10:22|1|15|0|2026-11-02 12:40:22
END

like(import_rows($usb), qr/^stored\|0\|\|\|\nknown\|5\|/, 'the same again');

# nobody could mend the moments later

for my $rows ('["1\\t2026-11-02 08:59:01"]', '[]') {
    my (undef, undef, $refused) = $t->pg->psql_try('SELECT * FROM'
        . " iclock.import_punches('AJE0000000135', '$rows')", user => 'clerk');

    like($refused, qr/time\ zone\ of\ "AJE0000000135"\ is\ not\ known\n
                      HINT:\ .*set_device/x, "no zone is known: $rows");
}

is($t->psql("SELECT count(*) FROM iclock.punch"
            . " WHERE device_id = iclock.device_id('AJE0000000135')"), 0,
   'nothing is stored by a guess');

# by the zone of the location, where the row has none

$t->psql("DELETE FROM iclock.punch; UPDATE iclock.device SET timezone = NULL,"
         . " default_timezone = 'Asia/Kathmandu'"
         . " WHERE serial_number = 'AJE0000000133'");
import_rows($usb);
is($t->psql('SELECT DISTINCT local_time - timezone(\'UTC\', punched_at)'
            . ' FROM iclock.punch'), '05:45:00', 'the zone of the location');
$t->psql("UPDATE iclock.device SET timezone = 'Asia/Kolkata'"
         . " WHERE serial_number = 'AJE0000000133'");
import_rows($usb);

# what came by itself is not doubled, whatever the line ends

$t->psql('DELETE FROM iclock.punch');
$t->start($t->device_server(pool => 'timeout=1m'));
$t->post('/iclock/cdata?SN=AJE0000000133&table=ATTLOG&Stamp=1',
         "1\t2026-11-02 08:59:01\t0\t1\t0\t0\t0\n");
(my $dos = $attlog) =~ s/\n/\r\n/g;
file('1_attlog.dat', $dos);
like(import_rows($usb), qr/^stored\|3\|\|\|\nknown\|2\|/,
     'one of them was pushed');

# files with a serial number and a checksum

$t->psql('DELETE FROM iclock.punch');
file('1_attlog.dat', "AJE0000000133\r\n"
     . "        1\t2026-11-02 08:59:01\t1\t0\t1\t0\r\n4711\r\n");
is(import_rows($usb), "stored|1|||\nknown|0|||\n",
   'serial number and checksum are no punches');
file('1_attlog.dat', "AJE0000000134\r\n"
     . "        1\t2026-11-02 08:59:01\t1\t0\t1\t0\r\n4711\r\n");
like(import_rows($usb), qr/begins with serial number "AJE0000000134"/,
     'the file of another terminal');

file('1_attlog.dat', "\xef\xbb\xbf        1\t2026-11-02 08:59:01"
     . "\t1\t0\t1\t0\r\n");
is(import_rows($usb), "stored|0|||\nknown|1|||\n", 'a byte order mark');
file('1_attlog.dat', "\xef\xbb\xbfAJE0000000133\n"
     . "        1\t2026-11-02 08:59:01\t1\t0\t1\t0\n4711");
is(import_rows($usb), "stored|0|||\nknown|1|||\n",
   'and before a serial number');
file('1_attlog.dat', "AJE0000000133\n");
is(import_rows($usb), "stored|0|||\nknown|0|||\n", 'a serial number alone');

# more than one piece, with bad rows around the place where they meet

$t->psql('DELETE FROM iclock.punch');
my @line = map { sprintf "%9d\t2026-11-%02d %02d:%02d:%02d\t1\t0\t1\t0",
                         $_, 1 + $_ % 28, $_ % 24, $_ % 60, $_ % 59 }
           1 .. 20_001;

$line[$_] = "bad$_" for 9_998 .. 10_000, 19_999, 20_000;
file('1_attlog.dat', join "\n", 'AJE0000000133', @line, 'checksum');
like(import_rows($usb),
     qr/^stored\|19996\|\|\|\nknown\|0\|\|\|\n
        bad\|1\|10000\|[^|]*\|bad9998\nbad\|1\|10001\|[^|]*\|bad9999\n
        bad\|1\|10002\|[^|]*\|bad10000\nbad\|1\|20001\|[^|]*\|bad19999\n
        bad\|1\|20002\|[^|]*\|bad20000\n\z/x, 'a long file');
like(import_rows($usb), qr/^stored\|0\|\|\|\nknown\|19996\|/, 'again');

# the moment is that of the zone of the last handshake

$t->psql('DELETE FROM iclock.punch');
$t->psql("UPDATE iclock.device SET timezone = NULL, default_timezone ="
         . " 'Europe/Berlin' WHERE serial_number = 'AJE0000000133'");
file('1_attlog.dat', join '', map { "1\t$_\t1\t0\t1\t0\n" }
     '2026-03-29 01:59:59', '2026-03-29 02:30:00', '2026-03-29 03:00:00',
     '2026-10-25 02:30:00', '2024-02-29 12:00:00', '2023-02-29 12:00:00',
     '2026-11-31 12:00:00', '2026-1-2 3:04', '0000-01-01 00:00:00');
like(import_rows($usb), qr/^stored\|6\|.*\nbad\|1\|6\|.*\nbad\|1\|7\|.*
                           \nbad\|1\|9\|.*\n\z/sx, 'days that are none');
is(punches(), <<'END' =~ s/\n\z//r, 'clocks change');
1|2024-02-29 12:00:00|0|1|0|2024-02-29 11:00:00
1|2026-01-02 03:04:00|0|1|0|2026-01-02 02:04:00
1|2026-03-29 01:59:59|0|1|0|2026-03-29 00:59:59
1|2026-03-29 02:30:00|0|1|0|2026-03-29 01:30:00
1|2026-03-29 03:00:00|0|1|0|2026-03-29 01:00:00
1|2026-10-25 02:30:00|0|1|0|2026-10-25 01:30:00
END

# the device uploads what was imported, and has the same moments

$t->post('/iclock/cdata?SN=AJE0000000133&table=ATTLOG&Stamp=2',
         "1\t2026-10-25 02:30:00\t0\t1\t0\t0\t0\n"
         . "1\t2026-03-29 02:30:00\t0\t1\t0\t0\t0\n");
is($t->psql('SELECT count(*) FROM iclock.punch'), 6,
   'punches that the device uploads later are not doubled');

# months that were dropped

$t->psql("SELECT iclock.drop_before('2026-03-01')");
like(import_rows($usb), qr/^stored\|0\|\|\|\nknown\|4\|.*
                           bad\|1\|5\|drop_before\(\)[^|]*\|1\t2024/sx,
     'nothing returns that drop_before() has dropped');

# a device cannot be deleted below the punches

$t->psql('DELETE FROM iclock.punch');
my $hold = $t->pg->hold(q(SELECT * FROM iclock.import_punches(
    'AJE0000000134', '["1\\t2026-11-02 08:59:01"]')));
my ($failed) = $t->pg->psql_try("SET lock_timeout = '200ms';"
    . " SELECT iclock.delete_device('AJE0000000134')");
isnt($failed, 0, 'not deleted while its punches are being stored');
$hold->release();

# what is read is read with the rights of the caller

like(import_rows("SELECT * FROM iclock.import_punches('AJE0000000133',"
                 . " 'iclock.device_user')"),
     qr/permission denied/, 'a table that the caller may not read');
like(import_rows('CREATE FUNCTION pg_temp.who() RETURNS text VOLATILE'
                 . ' LANGUAGE sql AS $$ SELECT current_user::text $$;'
                 . ' CREATE TEMP VIEW trap AS SELECT pg_temp.who() AS line;'
                 . " SELECT * FROM iclock.import_punches('AJE0000000133',"
                 . " 'trap')"),
     qr/serial number "clerk"/, 'functions of a view run as the caller');
like(import_rows("SELECT * FROM iclock.import_punches('AJE0000000133',"
                 . " 'no_such_table')"), qr/no_such_table/, 'no such table');

# older software

$t->psql('DELETE FROM iclock.punch');
file('USERINFO.csv', <<'END');
USERID,Badgenumber,Name
1,1001,"Rao, Asha"
2,1002,Ravi
END
file('CHECKINOUT.csv', <<'END');
USERID,CHECKTIME,CHECKTYPE,VERIFYCODE,SENSORID
1,2026-11-02 09:00:00,I,1,1
1,2026-11-02 12:00:00,0,1,1
1,2026/11/02 12:30:00,1,1,1
1,2026-11-02 17:00:00,O,1,1
2,2026-11-02 18:00:00,i,15,1
3,2026-11-02 09:00:00,I,1,1
2,2026-11-02 19:00:00,?,15,1
2,2026-11-02 09:00:00,I,1,2
END
my $result = import_rows($legacy);

like($result, qr/^stored\|5\|\|\|\nknown\|0\|\|\|\nbad/, 'older software');
like($result, qr/^bad\|1\|\d+\|no PIN\|.*"userid": "3"/m,
     'a punch of nobody that is known');
like($result, qr/^bad\|1\|\d+\|status or verify is no number\|/m,
     'a state that is none');
is($t->psql("SELECT string_agg(concat_ws(' ', pin, status_label, direction),"
            . " ',' ORDER BY local_time) FROM iclock.attendance"),
   '1001 check in in,1001 break out out,1001 break in in,1001 check out out,'
   . '1002 overtime in in', 'states');
like(import_rows($legacy), qr/^stored\|0\|\|\|\nknown\|5\|/, 'the same again');

# names in GBK, which are no UTF-8
file('USERINFO.csv', "USERID,Badgenumber,Name\r\n"
     . "1,1001,\xcd\xf5\xce\xb0\r\n2,1002,Ravi\r\n");
like(import_rows($legacy), qr/invalid byte sequence/,
     'names in another encoding');
(my $gbk = $legacy) =~ s/(USERINFO.*HEADER)/$1 ENCODING 'GBK'/;
like(import_rows($gbk), qr/^stored\|0\|\|\|\nknown\|5\|/, 'which is named');

is(import_rows("SELECT * FROM iclock.import_punches('AJE0000000133',"
               . " '[{\"sn\": \"AJE0000000134\", \"pin\": 1,"
               . " \"time\": \"2026-11-02 09:00:00\"},"
               . " {\"SN\": \"AJE0000000133\", \"pin\": 1,"
               . " \"time\": \"2026-11-02 09:00:01\", \"workcode\": 7}]')")
   =~ s/\|\{.*//r,
   "stored|1|||\nknown|0|||\nbad|1|1|of terminal \"AJE0000000134\"\n",
   'rows of another terminal');

# what is refused

for my $case ([ "'NOSUCH001', '[]'", qr/NOSUCH001/, 'no such device' ],
              [ "'AJE0000000133', '{}'", qr/is not an array/, 'no array' ],
              [ "'AJE0000000133', NULL", qr/is neither an array/, 'nothing' ])
{
    like(import_rows("SELECT iclock.import_punches($case->[0])"), $case->[1],
         $case->[2]);
}

is(import_rows("SELECT * FROM iclock.import_punches('AJE0000000133',"
               . " '[1, null, [\"x\"], {}, \"\", {\"PIN\": \"a\\u0001\","
               . " \"time\": \"2026\"}]')"),
   <<'END', 'rows that are neither lines nor objects');
stored|0|||
known|0|||
bad|1|1|neither a line nor an object|1
bad|1|3|neither a line nor an object|["x"]
bad|1|4|no PIN|{}
bad|1|6|control characters, or too long|{"PIN": "a\u0001", "time": "2026"}
END
is(import_rows("SELECT * FROM iclock.import_punches('AJE0000000133', '[]')"),
   "stored|0|||\nknown|0|||\n", 'an empty file');

$t->done();
