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
my ($usb, $legacy) = ($section || '') =~ /^    -- [^\n]*\n(.*?)\n\n/msg;

ok($usb && $legacy, 'README has both ways');

s/^    //mg for $usb, $legacy;

my $t = Test::IClock->new;
my $dir = $t->dir;

$t->psql(<<'END');
SELECT iclock.register_device('AJE0000000133', timezone => 'Asia/Kolkata');
SELECT iclock.register_device('AJE0000000134');
CREATE ROLE clerk LOGIN;
GRANT iclock_operator TO clerk;
GRANT iclock_reader TO clerk;
END


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

    $sql =~ s/FROM '([^'\/]+)' WITH/FROM '$dir\/$1' WITH/g;

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
$t->start();
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

# what is refused

for my $case ([ "'NOSUCH001', '[]'", qr/NOSUCH001/, 'no such device' ],
              [ "'AJE0000000133', '{}'", qr/is no array/, 'no array' ],
              [ "'AJE0000000133', NULL", qr/is no array/, 'nothing' ])
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
