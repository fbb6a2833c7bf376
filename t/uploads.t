#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Every shape of upload: the exact reply, and the exact rows of all tables.
# Each body goes to a device of its own and is then sent again, one byte at
# a time, and with other line ends; the rows must be the same.

use strict;
use warnings;

use Compress::Zlib qw/ crc32 /;
use Digest::MD5 qw/ md5_hex /;
use FindBin;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;
use Test::IClock::Process qw/ slurp /;

my @case;


# upload('name', table or query, body, reply, rows ...): a query begins with
# an endpoint or has a "=" in it; the status is 200

sub upload {
    my ($name, $query, $body, $reply, @row) = @_;

    push @case, { name => $name, steps => [ [ $query, $body, $reply ] ],
                  rows => \@row };

    return $case[-1];
}


# several requests of one device, and the rows at their end

sub uploads {
    my ($name, $steps, @row) = @_;

    push @case, { name => $name, steps => $steps, rows => \@row };

    return $case[-1];
}


# What the rows are: columns and table.  -1 (not sent) and NULL show as
# nothing, and what is empty at the end of a row is left out.

my %columns = (
    punch => [ 'pin, local_time, status, verify, work_code, extra, id_number,'
               . ' record_type, mask, temperature, job_codes, tip_codes' ],
    operation => [ 'local_time, code, operator, object1, object2, object3,'
                   . ' object4' ],
    user => [ 'pin, name, privilege, password, card, access_group, time_zone,'
              . ' verify, vice_card, starts_at, ends_at', 'device_user' ],
    template => [ 'source, pin, type, no, index, major_version,'
                  . ' minor_version, format, valid, duress,'
                  . " encode(t.data, 'hex')" ],
    photo => [ 'kind, file_name, pin, taken_at, result, type, id_number,'
               . " encode(t.content, 'hex')" ],
    card => [ 'id_number, pin, sn_number, dn_number, name, gender, nation,'
              . ' birthday, valid_info, address, additional_info, issuer,'
              . " encode(t.photo, 'hex'), encode(t.fp_template1, 'hex'),"
              . " encode(t.fp_template2, 'hex'), reserve, notice",
              'identity_card' ],
    work => [ 'code, name, pin', 'work_code' ],
    error => [ 'code, message, origin, command_id, additional',
               'device_error' ],
    option => [ 'name, value', 'device_option' ],
    stamp => [ 'table_name, stamp', 'upload_stamp' ],
    rejected => [ "table_name, reason, encode(t.line, 'escape')",
                  'rejected_line' ],
    device => [ 'firmware, user_count, fingerprint_count, face_count,'
                . ' punch_count, host(t.ip_address), fingerprint_version,'
                . ' face_version, push_version, language, multi_bio_version,'
                . ' multi_bio_data_count, multi_bio_photo_count' ],
);

sub rows_sql {
    my @part;

    for my $name (sort keys %columns) {
        my ($list, $table) = @{$columns{$name}};
        my $device = $name eq 'device' ? 't.id' : 't.device_id';
        my @column = map { my $c = /\(/ ? $_ : "t.$_";
                           "nullif(($c)::text, '-1')" }
                     split /, (?![^(]*\))/, $list;

        $table ||= $name;

        push @part, "SELECT d.serial_number AS sn, '$name' AS name,"
            . " array_to_string(array[" . join(', ', @column) . "], '|', '')"
            . " AS line FROM iclock.$table t"
            . " JOIN iclock.device d ON d.id = $device";
    }

    return "SET bytea_output = hex;\nSELECT sn || ' ' || name || '|'"
           . " || rtrim(line, '|') FROM (" . join("\nUNION ALL ", @part)
           . ") u WHERE rtrim(line, '|') <> '' OR name <> 'device'"
           . " ORDER BY sn, name";
}


# ATTLOG

my $p = '2026-09-22 09:31:05';

upload('2 columns', 'ATTLOG', "7\t$p\n", 'OK: 1', "punch|7|$p");
upload('3 columns', 'ATTLOG', "4301\t2026-07-15 09:00:00\t0\n", 'OK: 1',
       'punch|4301|2026-07-15 09:00:00|0');
upload('4 columns', 'ATTLOG', "1001\t2026-10-03 06:16:00\t0\t1\n", 'OK: 1',
       'punch|1001|2026-10-03 06:16:00|0|1');
upload('5 columns, trailing TAB', 'ATTLOG',
       "1001\t2024-03-15 08:30:00\t0\t1\t\n", 'OK: 1',
       'punch|1001|2024-03-15 08:30:00|0|1');
upload('5 columns, work code', 'ATTLOG',
       "982\t2008-02-25 12:08:21\t1\t0\t9001\n", 'OK: 1',
       'punch|982|2008-02-25 12:08:21|1|0|9001');
upload('6 columns', 'ATTLOG', "501\t2026-09-29 18:05:10\t0\t1\t0\t0\n",
       'OK: 1', 'punch|501|2026-09-29 18:05:10|0|1|0');
upload('7 columns', 'ATTLOG', "1452\t2015-07-30 15:16:28\t0\t1\t0\t0\t0\n",
       'OK: 1', 'punch|1452|2015-07-30 15:16:28|0|1|0');
upload('7 columns, PIN not numeric', 'ATTLOG',
       "5_4968\t2026-06-17 08:00:00\t0\t1\t\t0\t0\n", 'OK: 1',
       'punch|5_4968|2026-06-17 08:00:00|0|1');
upload('7 columns and a trailing TAB', 'ATTLOG',
       "1452\t2015-07-30 15:16:28\t0\t1\t0\t0\t0\t\n", 'OK: 1',
       'punch|1452|2015-07-30 15:16:28|0|1|0');
upload('8 columns', 'ATTLOG', "1002\t2026-10-03 06:17:00\t1\t15\t\t255\t0\t0",
       'OK: 1', 'punch|1002|2026-10-03 06:17:00|1|15||{0}');
upload('9 columns of an identity card terminal', 'ATTLOG',
       "1452\t2015-07-30 15:16:28\t0\t1\t0\t0\t0\t210000199001010011\t1\n",
       'OK: 1', 'punch|1452|2015-07-30 15:16:28|0|1|0'
                . '|{210000199001010011,1}|210000199001010011|1');
upload('9 columns, identity number ends in X', 'ATTLOG',
       "1\t$p\t0\t1\t0\t0\t0\t21000019900101001X\t0\n", 'OK: 1',
       "punch|1|$p|0|1|0|{21000019900101001X,0}|21000019900101001X|0");
upload('9 columns that are something else', 'ATTLOG',
       "1\t$p\t0\t1\t0\t0\t0\t0\t36.5\n", 'OK: 1',
       "punch|1|$p|0|1|0|{0,36.5}");
upload('10 columns', 'ATTLOG',
       "2\t2026-07-20 16:33:44\t255\t15\t0\t0\t0\t0\t0\t0\n", 'OK: 1',
       'punch|2|2026-07-20 16:33:44|255|15|0|{0,0,0}|||0|0');
upload('10 columns and a trailing TAB', 'ATTLOG',
       "2\t2026-07-20 16:33:44\t255\t15\t0\t0\t0\t0\t0\t0\t\n", 'OK: 1',
       'punch|2|2026-07-20 16:33:44|255|15|0|{0,0,0}|||0|0');
upload('10 columns, mask and temperature', 'ATTLOG',
       "2\t$p\t0\t15\t0\t0\t0\t1\t36.6\t97.9\n", 'OK: 1',
       "punch|2|$p|0|15|0|{1,36.6,97.9}|||1|36.6");
upload('10 columns, temperature unreadable', 'ATTLOG',
       "2\t$p\t0\t15\t0\t0\t0\tno\twarm\t\n", 'OK: 1',
       "punch|2|$p|0|15|0|{no,warm}");
upload('11 columns', 'ATTLOG',
       "2\t$p\t0\t15\t0\t0\t0\t0\t-1.5\t0\t+28800\n", 'OK: 1',
       "punch|2|$p|0|15|0|{0,-1.5,0,+28800}|||0|-1.5");
upload('12 columns, time offset and extended data', 'ATTLOG',
       "2\t$p\t0\t15\t0\t0\t0\t0\t36.5\t0\t+28800\teyJhIjoxfQ==\n", 'OK: 1',
       "punch|2|$p|0|15|0|{0,36.5,0,+28800,eyJhIjoxfQ==}|||0|36.5");
upload("$_ columns", 'ATTLOG',
       join("\t", 3, $p, 0, 1, 0, 0, 0, map { "e$_" } 8 .. $_) . "\n",
       'OK: 1', "punch|3|$p|0|1|0|{" . join(',', map { "e$_" } 8 .. $_) . '}')
    for 13, 14, 15, 18, 25;
upload('16 columns, job and tip codes', 'ATTLOG',
       "982\t2016-02-25 12:08:21\t1\t0\t9001\t0\t0"
       . "\t1\t2\t3\t4\t5\t6\t1.0\t2.0\t3.0\n", 'OK: 1',
       'punch|982|2016-02-25 12:08:21|1|0|9001|{1,2,3,4,5,6,1.0,2.0,3.0}'
       . '|||||{1,2,3,4,5,6}|{1.0,2.0,3.0}');
upload('16 columns, the last tip code empty', 'ATTLOG',
       "982\t2016-02-25 12:08:21\t1\t0\t9001\t0\t0"
       . "\t1\t2\t3\t4\t5\t6\t1.0\t2.0\t\n", 'OK: 1',
       'punch|982|2016-02-25 12:08:21|1|0|9001|{1,2,3,4,5,6,1.0,2.0}'
       . '|||||{1,2,3,4,5,6}|{1.0,2.0,""}');
upload('lines of all lengths', 'ATTLOG',
       "1\t$p\t0\t1\n"
       . "2\t$p\t0\t1\t9\t0\t0\t21000019900101001X\t0\n"
       . "3\t$p\t0\t1\t9\t0\t0\t1\t36.6\t97.9\n"
       . "4\t$p\t0\t1\t0\t0\t0\n", 'OK: 4',
       "punch|1|$p|0|1",
       "punch|2|$p|0|1|9|{21000019900101001X,0}|21000019900101001X|0",
       "punch|3|$p|0|1|9|{1,36.6,97.9}|||1|36.6",
       "punch|4|$p|0|1|0");
upload('17 columns', 'ATTLOG',
       "982\t2016-02-25 12:08:21\t1\t0\t9001\t0\t0"
       . "\t1\t2\t3\t4\t5\t6\t1.0\t2.0\t3.0\tz\n", 'OK: 1',
       'punch|982|2016-02-25 12:08:21|1|0|9001|{1,2,3,4,5,6,1.0,2.0,3.0,z}'
       . '|||||{1,2,3,4,5,6}|{1.0,2.0,3.0}');
upload('16 columns, empty codes', 'ATTLOG',
       "9\t$p\t1\t0\t\t\t\t\t\t\t\t\t\t\t\tx\n", 'OK: 1',
       "punch|9|$p|1|0||{\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",x}|||||"
       . '{"","","","","",""}|{"","",x}');
upload('keyed', 'ATTLOG',
       "PIN=1001\tDateTime=2026-08-01 10:16:58\tVerified=1\tStatus=0\n",
       'OK: 1', 'punch|1001|2026-08-01 10:16:58|0|1');
upload('keyed, unknown keys', 'ATTLOG',
       "PIN=7\tTime=$p\tGPS=1\tStatus=0\tFoo=a b\n", 'OK: 1',
       "punch|7|$p|0|||{GPS=1,\"Foo=a b\"}");
upload('keyed, other order and case', 'ATTLOG',
       "status=1\tVERIFY=15\tpin=7\tTime=$p\tWorkCode=3\n", 'OK: 1',
       "punch|7|$p|1|15|3");
upload('keyed, by spaces', 'ATTLOG',
       "PIN=7 DateTime=$p Status=0 Verified=1\n", 'OK: 1',
       "punch|7|$p|0|1");
upload('keyed, without a time', 'ATTLOG', "PIN=7\tStatus=0\n", 'OK: 1',
       "rejected|ATTLOG|local_time is empty|PIN=7\tStatus=0");
upload('spaces', 'ATTLOG', "9  2026-09-22 10:00:00  0  1\n", 'OK: 1',
       'punch|9|2026-09-22 10:00:00|0|1');
upload('single spaces, 7 columns', 'ATTLOG',
       "1452 2015-07-30 15:16:35 0 1 0 0 0\n", 'OK: 1',
       'punch|1452|2015-07-30 15:16:35|0|1|0');
upload('a T in the time', 'ATTLOG', "9\t2026-09-22T10:00:00\t0\t1\n",
       'OK: 1', 'punch|9|2026-09-22 10:00:00|0|1');
upload('status 255, verify 200', 'ATTLOG', "9\t$p\t255\t200\n", 'OK: 1',
       "punch|9|$p|255|200");
upload('status and verify empty', 'ATTLOG', "9\t$p\t\t\t\t\t\n", 'OK: 1',
       "punch|9|$p");
upload('PIN with leading zeros', 'ATTLOG', "00007\t$p\t0\t1\n", 'OK: 1',
       "punch|00007|$p|0|1");
upload('PIN with blanks around it', 'ATTLOG', " 7 \t$p\t0\t1\n", 'OK: 1',
       "punch|7|$p|0|1");
upload('PIN of 255 bytes', 'ATTLOG', 'x' x 255 . "\t$p\n", 'OK: 1',
       'punch|' . 'x' x 255 . "|$p");
upload('UTF-8 in the PIN', 'ATTLOG', "\xc3\xa9\x{e4}\xb8\xad\t$p\n", 'OK: 1',
       "punch|\xc3\xa9\xe4\xb8\xad|$p");
upload('leap day', 'ATTLOG', "9\t2024-02-29 23:59:59\n", 'OK: 1',
       'punch|9|2024-02-29 23:59:59');
upload('clocks that are far off', 'ATTLOG',
       "9\t2000-01-01 00:00:00\n9\t1970-01-01 00:00:01\n"
       . "9\t2099-12-31 23:59:59\n", 'OK: 3',
       'punch|9|1970-01-01 00:00:01', 'punch|9|2000-01-01 00:00:00',
       'punch|9|2099-12-31 23:59:59');

# line ends

my @two = ("punch|1|$p|0|1", "punch|2|$p|0|1");

upload('no last newline', 'ATTLOG', "1\t$p\t0\t1\n2\t$p\t0\t1", 'OK: 2',
       @two);
upload('CRLF', 'ATTLOG', "1\t$p\t0\t1\r\n2\t$p\t0\t1\r\n", 'OK: 2', @two);
upload('CRLF, no last newline', 'ATTLOG', "1\t$p\t0\t1\r\n2\t$p\t0\t1\r",
       'OK: 2', @two);
upload('mixed line ends', 'ATTLOG',
       "1000\t2026-10-03 06:15:00\t0\t1\t0\t0\t0\r\n"
       . "1001\t2026-10-03 06:16:00\t0\t1\n"
       . "1002\t2026-10-03 06:17:00\t1\t15\t\t255\t0\t0\t0\r\n", 'OK: 3',
       'punch|1000|2026-10-03 06:15:00|0|1|0',
       'punch|1001|2026-10-03 06:16:00|0|1',
       'punch|1002|2026-10-03 06:17:00|1|15||{0,0}');
upload('blank lines', 'ATTLOG', "\n1\t$p\t0\t1\n\n \n\t\n2\t$p\t0\t1\n\n",
       'OK: 2', @two);
upload('a lone NUL line', 'ATTLOG', "1\t$p\t0\t1\n2\t$p\t0\t1\n\0\n",
       'OK: 2', @two);
upload('a NUL at the end', 'ATTLOG', "1\t$p\t0\t1\n2\t$p\t0\t1\n\0", 'OK: 2',
       @two);
upload('NULs at the ends of lines', 'ATTLOG', "1\t$p\t0\t1\0\n2\t$p\t0\t1\0",
       'OK: 2', @two);
upload('the same line twice', 'ATTLOG', "1\t$p\t0\t1\n" x 2, 'OK: 2',
       $two[0]);
upload('the same time, another status', 'ATTLOG',
       "1\t$p\t0\t1\n1\t$p\t1\t1\n", 'OK: 2', "punch|1|$p|0|1",
       "punch|1|$p|1|1");
upload('empty body', 'ATTLOG', '', 'OK: 0');
upload('only blank lines', 'ATTLOG', "\n \n\0\n", 'OK: 0');

# poison

upload('a large status is no poison', 'ATTLOG', "7\t$p\t99999\t15\t0\n",
       'OK: 1', "punch|7|$p|99999|15|0");

for ([ "12\t2026-02-30 10:00:00", 'local_time is not a date and time' ],
     [ "4\t2026-99-20 16:33:44\t255\t15",
       'local_time is not a date and time' ],
     [ "4\t2023-02-29 00:00:00", 'local_time is not a date and time' ],
     [ "4\t2026-09-22 24:00:00", 'local_time is not a date and time' ],
     [ "4\t2026-09-22 10:60:00", 'local_time is not a date and time' ],
     [ "4\t0000-00-00 00:00:00", 'local_time is not a date and time' ],
     [ "4\t2026-09-22", 'local_time is not a date and time' ],
     [ "4\t2026-09-22 10:00:00 x", 'local_time is not a date and time' ],
     [ "9\tyesterday\t0\t1", 'local_time is not a date and time' ],
     [ "\t2026-09-22 09:00:00\t0\t1", 'pin is empty' ],
     [ "9\t\t0\t1", 'local_time is empty' ],
     [ '9', 'local_time is empty' ],
     [ 'x' x 256 . "\t$p", 'pin is too long' ],
     [ "9\t$p\tx\t1", 'status is not a number' ],
     [ "9\t$p\t0\t1.5", 'verify is not a number' ],
     [ "9\t$p\t2147483648\t1", 'status is out of range' ],
     [ "9\t$p\t0\t99999999999999999999", 'verify is out of range' ],
     [ "\x{ff}\xfe\t$p\t0\t1", 'pin is invalid UTF-8' ],
     [ "\xed\xa0\x80\t$p\t0\t1", 'pin is invalid UTF-8' ],
     [ "a\x01b\t$p\t0\t1", 'pin holds a control character' ],
     [ "a\0b\t$p\t0\t1", 'NUL byte in the line' ],
     [ "OPLOG 4\t14\t$p", 'local_time is not a date and time' ],
     [ '{"pin": 7}', 'local_time is not a date and time' ])
{
    my ($line, $reason) = @$_;
    my $shown = $line =~ s/([\0\x80-\xff])/sprintf '\\%03o', ord $1/ger;

    upload("poison: $shown", 'ATTLOG', "1\t$p\t0\t1\n$line\n2\t$p\t0\t1\n",
           'OK: 3', @two, "rejected|ATTLOG|$reason|$shown");
}

upload('a work code that is no text', 'ATTLOG', "1\t$p\t0\t1\t\xff\n",
       'OK: 1', "punch|1|$p|0|1",
       "rejected|ATTLOG|work_code is not valid text|1\t$p\t0\t1\t\\377");

# the examples of the documents

upload('2.4.1, 11.2', 'table=ATTLOG&Stamp=9999',
       join('', map { "1452\t2015-07-30 15:16:$_\t0\t1\t0\t0\t0\n" }
            28, 29, 30, 31, 33, 34, 35)
       . "8965\t2015-07-30 15:16:36\t0\t1\t0\t0\t0\n"
       . "8965\t2015-07-30 15:16:37\t0\t1\t0\t0\t0\n", 'OK: 9',
       (map { "punch|1452|2015-07-30 15:16:$_|0|1|0" }
        28, 29, 30, 31, 33, 34, 35),
       (map { "punch|8965|2015-07-30 15:16:$_|0|1|0" } 36, 37),
       'stamp|ATTLOG|9999');
upload('2.4.1, 11.7', 'table=ATTLOG&Stamp=9999',
       join('', map { "1452\t2015-07-30 15:16:$_\t0\t1\t0\t0\t0"
                      . "\t2100001990010100$_\t0\n" } 28 .. 36), 'OK: 9',
       (map { "punch|1452|2015-07-30 15:16:$_|0|1|0"
              . "|{2100001990010100$_,0}|2100001990010100$_|0" } 28 .. 36),
       'stamp|ATTLOG|9999');
upload('SDK 3.2.0, 2.4.1', 'table=%20ATTLOG&Stamp=2008-02-25T12:08:21',
       "982\t2008-02-25 12:08:21\t1\t0\t9001\n"
       . "982\t2008-02-25 18:01:09\t1\t0\t9001\n", 'OK: 2',
       'punch|982|2008-02-25 12:08:21|1|0|9001',
       'punch|982|2008-02-25 18:01:09|1|0|9001',
       'stamp|ATTLOG|2008-02-25T12:08:21');


# the table of a body, and stamps

my $one = "1\t$p\t0\t1\n";

upload('no table, Stamp', 'Stamp=5', $one, 'OK: 1', $two[0],
       'stamp|ATTLOG|5');
upload('no table, OpStamp', 'OpStamp=6', "OPLOG 4\t14\t$p\t0\t0\t0\t0\n",
       'OK: 1', "operation|$p|4|14|0|0|0|0", 'stamp|OPERLOG|6');
upload('no table, PhotoStamp', 'PhotoStamp=7',
       "PIN=20150731103012-9.jpg\nSN=1\nsize=3\nCMD=uploadphoto\0\xff\xd8\xff",
       'OK', 'photo|attendance|20150731103012-9.jpg|9|2015-07-31 10:30:12|0'
       . '|||ffd8ff', 'stamp|ATTPHOTO|7')->{raw} = 1;
upload('no table, no stamp', 'x=y', $one, 'OK: 1',
       "rejected|none|unknown table|1\t$p\t0\t1");
upload('ATTLOG with OpStamp', 'table=ATTLOG&OpStamp=8', $one, 'OK: 1',
       $two[0], 'stamp|ATTLOG|8');
upload('BIODATA with OpStamp', 'table=BIODATA&OpStamp=9',
       "BIODATA Pin=1\tType=1\tTmp=AAAA\n", 'OK: 1',
       'stamp|BIODATA|9', 'template|BIODATA|1|1|0|0|0|0|0|1|0|000000');
upload('Stamp=None', 'table=ATTLOG&Stamp=None', $one, 'OK: 1', $two[0],
       'stamp|ATTLOG|None');
upload('the table in another case', 'table=attlog&stamp=1', $one, 'OK: 1',
       $two[0], 'stamp|ATTLOG|1');
upload('a stamp too long to be one', 'table=ATTLOG&Stamp=' . '9' x 65, $one,
       'OK: 1', $two[0]);
upload('a stamp that holds an end of line',
       'table=ATTLOG&Stamp=1%0aICLOCKSVRURL=x', $one, 'OK: 1', $two[0]);
upload('the stamp of an empty body', 'table=OPERLOG&OpStamp=11', '', 'OK: 0',
       'stamp|OPERLOG|11');
upload('a heartbeat without a stamp', 'OPERLOG', '', 'OK: 0');
uploads('a GET instead of an empty POST',
        [ [ 'table=OPERLOG&Stamp=12', undef, 'OK: 0' ] ],
        'stamp|OPERLOG|12');
uploads('the last stamp stays',
        [ [ 'table=ATTLOG&Stamp=1', $one, 'OK: 1' ],
          [ 'table=ATTLOG&Stamp=2', "2\t$p\t0\t1\n", 'OK: 1' ],
          [ 'table=OPERLOG&Stamp=3', '', 'OK: 0' ] ],
        @two, 'stamp|ATTLOG|2', 'stamp|OPERLOG|3');
upload('an unknown table', 'table=NEWTHING&Stamp=13', "a=1\tb=2\nc\n\n",
       'OK: 2', "rejected|NEWTHING|unknown table|a=1\tb=2",
       'rejected|NEWTHING|unknown table|c');
upload('an unknown table, no body', 'NEWTHING', '', 'OK: 0');
upload('an unknown table with a name of 300 bytes', 'x' x 300, "a\n",
       'OK: 1', 'rejected|' . 'x' x 300 . '|unknown table|a');
upload('an unknown table with binary lines', 'NEWTHING', "\xff\0\xfe\nb\n",
       'OK: 2', 'rejected|NEWTHING|NUL byte in the line|\377\000\376',
       'rejected|NEWTHING|unknown table|b');


# OPERLOG

upload('2.4.1, 11.4', 'table=OPERLOG&Stamp=9999',
       "OPLOG 4\t14\t2015-07-30 10:22:34\t0\t0\t0\t0\n", 'OK: 1',
       'operation|2015-07-30 10:22:34|4|14|0|0|0|0', 'stamp|OPERLOG|9999');
upload('text in an object', 'OPERLOG',
       "OPLOG 5\t0\t2026-06-23 13:20:44\tDHCP\t0\t0\t0\n", 'OK: 1',
       'operation|2026-06-23 13:20:44|5|0|DHCP|0|0|0');
upload('last object empty', 'OPERLOG', "OPLOG 5\t0\t$p\tDHCP\t0\t0\t\n",
       'OK: 1', "operation|$p|5|0|DHCP|0|0");
upload('no objects', 'OPERLOG', "OPLOG 0\t0\t$p\n", 'OK: 1',
       "operation|$p|0|0");
upload('unknown codes', 'OPERLOG',
       "OPLOG 33\t0\t$p\t0\t0\t0\t0\nOPLOG 126\t0\t$p\t0\t0\t0\t0\n",
       'OK: 2', "operation|$p|33|0|0|0|0|0", "operation|$p|126|0|0|0|0|0");
upload('no space after OPLOG', 'OPERLOG', "OPLOG5\t0\t$p\t1\t2\t3\t4\n",
       'OK: 1', "operation|$p|5|0|1|2|3|4");
upload('OPLOG by spaces', 'OPERLOG', "OPLOG 4 14 $p 0 0 0 0\n", 'OK: 1',
       "operation|$p|4|14|0|0|0|0");
upload('OPLOG and a TAB', 'OPERLOG', "OPLOG\t4\t14\t$p\t0\t0\t0\t0\n",
       'OK: 1', "operation|$p|4|14|0|0|0|0");
upload('oplog', 'OPERLOG', "oplog 4\t14\t$p\t0\t0\t0\t0\n", 'OK: 1',
       "operation|$p|4|14|0|0|0|0");
upload('the same operation twice', 'OPERLOG', "OPLOG 4\t14\t$p\t0\t0\t0\t0\n"
       x 2, 'OK: 2', "operation|$p|4|14|0|0|0|0");
upload('an operation without time', 'OPERLOG', "OPLOG 4\t14\n", 'OK: 1',
       "rejected|OPERLOG|local_time is empty|OPLOG 4\t14");
upload('an operation in February', 'OPERLOG',
       "OPLOG 4\t14\t2026-02-30 00:00:00\t0\n", 'OK: 1', 'rejected|OPERLOG'
       . "|local_time is not a date and time|OPLOG 4\t14\t2026-02-30 00:00:00"
       . "\t0");
upload('an operation without code', 'OPERLOG', "OPLOG \t14\t$p\t0\n",
       'OK: 1', "rejected|OPERLOG|local_time is empty|OPLOG \t14\t$p\t0");
upload('an object that is no text', 'OPERLOG', "OPLOG 5\t0\t$p\t\xff\t7\n",
       'OK: 1', "operation|$p|5|0||7",
       "rejected|OPERLOG|object1 is not valid text|OPLOG 5\t0\t$p\t\\377\t7");
upload('no known record', 'OPERLOG', "HELLO 1\t2\n", 'OK: 1',
       "rejected|OPERLOG|unknown record|HELLO 1\t2");
upload('a tag alone', 'OPERLOG', "USER\nFP\nOPLOG\n", 'OK: 3',
       'rejected|OPERLOG|no known field|USER',
       'rejected|OPERLOG|no known field|FP',
       'rejected|OPERLOG|code is empty|OPLOG');
upload('everything in one body', 'OPERLOG',
       "USER PIN=1\tName=Asha\tPri=0\r\nFP PIN=1\tFID=2\tTMP=AAAA\n"
       . "FACE PIN=1\tFID=3\tTMP=AAAA\nFVEIN Pin=1\tFID=4\tIndex=1\tTmp=AAAA\n"
       . "\nUSERPIC PIN=1\tFileName=1.jpg\tContent=/9j/\n"
       . "BIOPHOTO PIN=1\tFileName=1.jpg\tType=9\tContent=/9j/\n"
       . "BIODATA Pin=1\tNo=0\tType=9\tMajorVer=58\tTmp=AAAA\n"
       . "OPLOG 30\t0\t$p\t1\t0\t0\t0\nFOO\n", 'OK: 9',
       "operation|$p|30|0|1|0|0|0",
       'photo|comparison|1.jpg|1|||9||ffd8ff', 'photo|user|1.jpg|1|||||ffd8ff',
       'rejected|OPERLOG|unknown record|FOO',
       'template|FP|1|1|2|0|10|0|0|1|0|000000',
       'template|FACE|1|2|3|0|7|0|0|1|0|000000',
       'template|FVEIN|1|7|4|1|3|0|0|1|0|000000',
       'template|BIODATA|1|9|0|0|58|0|0|1|0|000000', 'user|1|Asha|0');


# USER

upload('2.4.1, 11.5', 'table=OPERLOG&Stamp=9999', join('', map {
       "USER PIN=3623$_\tName=3623$_\tPri=0\tPasswd=\tCard=13344$_\tGrp=1"
       . "\tTZ=0001000000000000\n" } 4, 5), 'OK: 2', 'stamp|OPERLOG|9999',
       map { "user|3623$_|3623$_|0||13344$_|1|0001000000000000" } 4, 5);
upload('SDK 3.2.0, 2.4.3, USER', 'OPERLOG', "USER PIN=982\tName=Richard"
       . "\tPasswd=9822\tCard=13375590\tGrp=1\tTZ=\n", 'OK: 1',
       'user|982|Richard||9822|13375590|1');
upload('all keys', 'OPERLOG', "USER PIN=5\tName=Y\tPri=14\tPasswd=1\tCard=7"
       . "\tGrp=1\tTZ=0000000100000000\tVerify=3\tViceCard=8"
       . "\tStartDatetime=2026-01-01 00:00:00\tEndDatetime=2027-01-01 23:59:59"
       . "\n", 'OK: 1', 'user|5|Y|14|1|7|1|0000000100000000|3|8'
       . '|2026-01-01 00:00:00|2027-01-01 23:59:59');
upload('a usual line', 'OPERLOG', "USER PIN=5\tName=Y\tPri=0\tPasswd=1\tCard="
       . "\tGrp=1\tTZ=0000000100000000\tVerify=-1\tViceCard="
       . "\tStartDatetime=0\tEndDatetime=0\n", 'OK: 1',
       'user|5|Y|0|1||1|0000000100000000|||-infinity|infinity');
uploads('a limit that is taken back', [
        [ 'OPERLOG', "USER PIN=5\tName=Y\tStartDatetime=2026-01-01 00:00:00"
          . "\tEndDatetime=2026-02-01 00:00:00\n", 'OK: 1' ],
        [ 'OPERLOG', "USER PIN=5\tName=Y\tStartDatetime=0\tEndDatetime=0\n",
          'OK: 1' ],
        [ 'OPERLOG', "USER PIN=5\tName=Z\n", 'OK: 1' ] ],
        'user|5|Z||||||||-infinity|infinity');
upload('times as numbers', 'OPERLOG',
       "USER PIN=5\tName=Y\tStartDatetime=20260101\tEndDatetime=867801599\n",
       'OK: 1',
       'user|5|Y||||||||2026-01-01 00:00:00|2026-12-31 23:59:59');
upload('keys in any case and order', 'OPERLOG',
       "USER NAME=B\tpri=2\tpin=6\tGRP=3\n", 'OK: 1', 'user|6|B|2|||3');
upload('Privilege, Password, Group, VerifyMode', 'OPERLOG',
       "USER PIN=6\tPrivilege=14\tPassword=9\tGroup=2\tVerifyMode=4\n",
       'OK: 1', 'user|6||14|9||2||4');
upload('unknown keys', 'OPERLOG', "USER PIN=6\tShoeSize=44\tName=C\n",
       'OK: 1', 'user|6|C');
upload('USER by spaces', 'OPERLOG', "USER PIN=21 Name=Ali Pri=0\n", 'OK: 1',
       'user|21|Ali|0');
upload('USER by spaces, a name of two words', 'OPERLOG',
       "USER PIN=21 Name=Ali Baba Pri=0\n", 'OK: 1', 'user|21|Ali Baba|0');
upload('a name of two words', 'OPERLOG', "USER PIN=21\tName=Ali Baba\tPri=0",
       'OK: 1', 'user|21|Ali Baba|0');
upload('no space after USER', 'OPERLOG', "USERPIN=22\tName=D\n", 'OK: 1',
       'user|22|D');
upload('an equals sign in a value', 'OPERLOG', "USER PIN=22\tName=a=b\n",
       'OK: 1', 'user|22|a=b');
upload('a pipe, quotes and a backslash', 'OPERLOG',
       "USER PIN=22\tName=O'Ne\"il\\n{}\n", 'OK: 1', 'user|22|O\'Ne"il\n{}');
upload('the word null', 'OPERLOG',
       "USER PIN=23\tName=E\tPri=null\tPasswd=null\tCard=null\n", 'OK: 1',
       'user|23|E');
uploads('what is not sent is left alone', [
        [ 'OPERLOG', "USER PIN=1\tName=F\tPri=14\tPasswd=9\tCard=7\tGrp=2"
          . "\tTZ=1\tVerify=3\tViceCard=8\tStartDatetime=2026-01-01 00:00:00"
          . "\tEndDatetime=2026-02-01 00:00:00\n", 'OK: 1' ],
        [ 'OPERLOG', "USER PIN=1\tName=G\n", 'OK: 1' ] ],
        'user|1|G|14|9|7|2|1|3|8|2026-01-01 00:00:00|2026-02-01 00:00:00');
uploads('null leaves alone, too', [
        [ 'OPERLOG', "USER PIN=1\tName=F\tCard=7\n", 'OK: 1' ],
        [ 'OPERLOG', "USER PIN=1\tName=null\tCard=null\n", 'OK: 1' ] ],
        'user|1|F|||7');
uploads('what is sent empty is erased', [
        [ 'OPERLOG', "USER PIN=1\tName=F\tPasswd=9\tCard=7\n", 'OK: 1' ],
        [ 'OPERLOG', "USER PIN=1\tName=\tPasswd=\tCard=\n", 'OK: 1' ] ],
        'user|1');
upload('two lines of one user', 'OPERLOG',
       "USER PIN=1\tName=F\tCard=7\nUSER PIN=1\tName=G\n", 'OK: 2',
       'user|1|G|||7');
for ([ '123456789', 123456789 ], [ '[15CD5B07]', 123456789 ],
     [ '[15cd5b0700000000]', 123456789 ], [ '[000]', '' ], [ '0', '' ],
     [ '[0000000000]', '' ], [ '', '' ], [ '[xyz]', '[xyz]' ],
     [ '18446744073709551615', '18446744073709551615' ])
{
    my ($sent, $card) = @$_;

    upload("card $sent", 'OPERLOG', "USER PIN=1\tCard=$sent\n", 'OK: 1',
           $card eq '' ? 'user|1' : "user|1||||$card");
}
upload('a user without PIN', 'OPERLOG', "USER Name=H\n", 'OK: 1',
       'rejected|OPERLOG|pin is empty|USER Name=H');
upload('a user with an empty PIN', 'OPERLOG', "USER PIN=\tName=H\n", 'OK: 1',
       "rejected|OPERLOG|pin is empty|USER PIN=\tName=H");
upload('a privilege that is no number', 'OPERLOG',
       "USER PIN=1\tName=I\tPri=admin\n", 'OK: 1',
       "rejected|OPERLOG|privilege is not a number|USER PIN=1\tName=I"
       . "\tPri=admin", 'user|1|I');
upload('a name that is no text', 'OPERLOG', "USER PIN=1\tName=\xff\xfe\tPri=2",
       'OK: 1', "rejected|OPERLOG|name is not valid text|USER PIN=1"
       . "\tName=\\377\\376\tPri=2", 'user|1||2');
upload('UTF-8', 'OPERLOG', "USER PIN=1\tName=\xe5\xbc\xa0\xc3\xa9\n", 'OK: 1',
       "user|1|\xe5\xbc\xa0\xc3\xa9");
upload('table=USERINFO', 'USERINFO',
       "PIN=11\tName=Asha\tPri=14\tPasswd=9999\tCard=123\tGrp=1\n", 'OK: 1',
       'user|11|Asha|14|9999|123|1');
upload('table=USERINFO with tags', 'USERINFO',
       "USERINFO PIN=11\tName=Asha\nUSER PIN=12\tName=Ben\n", 'OK: 2',
       'user|11|Asha', 'user|12|Ben');
upload('table=userinfo', 'userinfo', "pin=11\tName=Asha\n", 'OK: 1',
       'user|11|Asha');

# encodings

uploads('GB18030 of language 83', [
        [ 'options=all&language=83', undef, qr/GET OPTION FROM: / ],
        [ 'OPERLOG', "USER PIN=1\tName=\xd5\xc5\xc8\xfd\n", 'OK: 1' ],
        [ 'OPERLOG', "USER PIN=2\tName=\xe5\xbc\xa0\n", 'OK: 1' ] ],
        'device||||||||||83', "user|1|\xe5\xbc\xa0\xe4\xb8\x89",
        "user|2|\xe5\xbc\xa0");
# D6 A3 CE B0 is valid in both encodings
uploads('a name of GB2312 that is UTF-8 as well', [
        [ 'options=all&language=83', undef, qr/GET OPTION FROM: / ],
        [ 'OPERLOG', "USER PIN=1\tName=\xd6\xa3\xce\xb0\n", 'OK: 1' ],
        [ 'IDCARD', "IDCARD PIN=1\tIDNum=1\tName=\xd6\xa3\xce\xb0\n",
          'OK: 1' ] ],
        'device||||||||||83', "user|1|\xe9\x83\x91\xe4\xbc\x9f",
        "card|1|1|||\xd6\xa3\xce\xb0");
uploads('language 83 in UTF-8', [
        [ 'options=all&language=83', undef, qr/GET OPTION FROM: / ],
        [ 'OPERLOG', "USER PIN=1\tName=Jos\xc3\xa9\n"
                     . "USER PIN=2\tName=\xe9\x83\x91\xe4\xbc\x9f\n",
          'OK: 2' ] ],
        'device||||||||||83', "user|1|Jos\xc3\xa9",
        "user|2|\xe9\x83\x91\xe4\xbc\x9f");
uploads('four bytes of GB18030', [
        [ 'options=all&language=83', undef, qr/GET OPTION FROM: / ],
        [ 'OPERLOG', "USER PIN=1\tName=\x81\x39\xef\x30\n", 'OK: 1' ] ],
        'device||||||||||83', "user|1|\xe3\x90\x81");
uploads('no GB18030 either', [
        [ 'options=all&language=83', undef, qr/GET OPTION FROM: / ],
        [ 'OPERLOG', "USER PIN=1\tName=\xff\n", 'OK: 1' ] ],
        'device||||||||||83',
        "rejected|OPERLOG|name is not valid text|USER PIN=1\tName=\\377",
        'user|1');

# made-up names; a row of the device says how its text is encoded

for ([ 'windows-1256', "\xc3\xcd\xe3\xcf",
       "\xd8\xa3\xd8\xad\xd9\x85\xd8\xaf" ],
     [ 'WINDOWS-1251', "\xc8\xe2\xe0\xed",
       "\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd" ],
     [ 'ISO-8859-1', "Jos\xe9", "Jos\xc3\xa9" ],
     [ 'gb2312', "\xd5\xc5", "\xe5\xbc\xa0" ],
     [ 'GB18030', "\xd6\xa3\xce\xb0", "\xe9\x83\x91\xe4\xbc\x9f" ],
     [ 'UTF-8', "\xd6\xa3\xce\xb0", "\xd6\xa3\xce\xb0" ])
{
    my ($encoding, $sent, $text) = @$_;

    upload("encoding $encoding", 'OPERLOG', "USER PIN=1\tName=$sent\n",
           'OK: 1', "user|1|$text")->{encoding} = $encoding;
}


# templates

my $tmp9 = 'ocoRgZPRN8EwJNQx';        # begins as algorithm 9 does
my $hex9 = 'a1ca118193d137c13024d431';
my $tmp10 = 'SqFTUzIxAAAD4uUECAUHCc7Q';
my $hex10 = '4aa1535332310000' . '03e2e50408050709ced0';

upload('2.4.1, 11.9', 'table=OPERLOG&Stamp=9999', join('', map {
       "FP PIN=$_->[0]\tFID=$_->[1]\tSize=24\tValid=1\tTMP=$tmp10\n" }
       [ 2, 0 ], [ 2, 1 ], [ 3, 0 ]), 'OK: 3', 'stamp|OPERLOG|9999',
       map { "template|FP|$_|0|10|0|0|1|0|$hex10" } '2|1|0', '2|1|1', '3|1|0');
upload('algorithm 9', 'OPERLOG',
       "FP PIN=982\tFID=1\tSize=16\tValid=1\tTMP=$tmp9\n", 'OK: 1',
       "template|FP|982|1|1|0|9|0|0|1|0|$hex9");
upload('both algorithms', 'OPERLOG',
       "FP PIN=1\tFID=1\tTMP=$tmp9\nFP PIN=1\tFID=1\tTMP=$tmp10\n", 'OK: 2',
       "template|FP|1|1|1|0|9|0|0|1|0|$hex9",
       "template|FP|1|1|1|0|10|0|0|1|0|$hex10");
upload('no space after FP', 'OPERLOG', "FPPIN=12\tFID=0\tTMP=AAAA\n",
       'OK: 1', 'template|FP|12|1|0|0|10|0|0|1|0|000000');
upload('FP by spaces', 'OPERLOG',
       "FP PIN=12 FID=0 Size=4 Valid=3 TMP=AAAA\n", 'OK: 1',
       'template|FP|12|1|0|0|10|0|0|3|0|000000');
upload('base64 without padding', 'OPERLOG', "FP PIN=1\tFID=1\tTMP=QUI\n",
       'OK: 1', 'template|FP|1|1|1|0|10|0|0|1|0|4142');
upload('base64 with padding', 'OPERLOG', "FP PIN=1\tFID=1\tTMP=QQ==\n",
       'OK: 1', 'template|FP|1|1|1|0|10|0|0|1|0|41');
upload('a size that lies', 'OPERLOG',
       "FP PIN=1\tFID=1\tSize=99999\tTMP=QUJD\n", 'OK: 1',
       'template|FP|1|1|1|0|10|0|0|1|0|414243');
upload('a template again', 'OPERLOG',
       "FP PIN=1\tFID=1\tTMP=QUJD\nFP PIN=1\tFID=1\tTMP=QUJE\n", 'OK: 2',
       'template|FP|1|1|1|0|10|0|0|1|0|414244');
for ([ 'FP PIN=1	FID=1	TMP=****', 'data is not base64' ],
     [ 'FP PIN=1	FID=1	TMP=A', 'data is not base64' ],
     [ 'FP PIN=1	FID=1	TMP=QQ==QQ==', 'data is not base64' ],
     [ 'FP PIN=1	FID=1	TMP=', 'data is empty' ],
     [ 'FP PIN=1	FID=1', 'data is empty' ],
     [ 'FP FID=1	TMP=AAAA', 'pin is empty' ],
     [ 'FP PIN=1	FID=x	TMP=AAAA', 'no is not a number' ])
{
    my ($line, $reason) = @$_;

    upload("bad template: $line", 'OPERLOG', "$line\nUSER PIN=1\n", 'OK: 2',
           "rejected|OPERLOG|$reason|$line", 'user|1');
}
upload('2.4.1, 11.10', 'OPERLOG',
       "FACE PIN=306\tFID=2\tSIZE=8\tVALID=1\tTMP=AAAAAAAA\n", 'OK: 1',
       'template|FACE|306|2|2|0|7|0|0|1|0|000000000000');
upload('SDK 3.2.0, 2.4.3, FACE', 'OPERLOG',
       "FACE PIN=1002\tSize=8\tValid=1\tTMP=SDFGVDRg\n", 'OK: 1',
       'template|FACE|1002|2|0|0|7|0|0|1|0|483146543460');
upload('2.4.1, 11.11', 'OPERLOG', "FVEIN Pin=306\tFID=2\tIndex=0\tSize=4"
       . "\tValid=1\tTmp=AAAA\n", 'OK: 1',
       'template|FVEIN|306|7|2|0|3|0|0|1|0|000000');
upload('2.4.1, 11.12', 'BIODATA', "BIODATA Pin=306\tNo=0\tIndex=2\tValid=1"
       . "\tDuress=0\tType=8\tMajorVer=1\tMinorVer=0\tFormat=0\tTmp=AAAA\n",
       'OK: 1', 'template|BIODATA|306|8|0|2|1|0|0|1|0|000000');
upload('BIODATA of a fingerprint', 'BIODATA', "BIODATA Pin=1\tNo=6\tIndex=0"
       . "\tValid=1\tDuress=1\tType=1\tMajorVer=13\tMinorVer=2\tFormat=1"
       . "\tTmp=AAAA\n", 'OK: 1', 'template|BIODATA|1|1|6|0|13|2|1|1|1|000000');
upload('BIODATA without format', 'BIODATA', "BIODATA Pin=1\tNo=6\tIndex=0"
       . "\tValid=1\tDuress=0\tType=9\tMajorVer=13\tMinorVer=0\tTmp=AAAA\n",
       'OK: 1', 'template|BIODATA|1|9|6|0|13|0|0|1|0|000000');
upload('BIODATA without tag', 'BIODATA', "Pin=1\tType=2\tTmp=AAAA\n",
       'OK: 1', 'template|BIODATA|1|2|0|0|0|0|0|1|0|000000');
upload('one of each type', 'BIODATA', join('', map {
       "BIODATA Pin=1\tType=$_\tMajorVer=5\tTmp=AAAA\n" } 0 .. 9), 'OK: 10',
       map { "template|BIODATA|1|$_|0|0|5|0|0|1|0|000000" } 0 .. 9);
for ([ 'FINGERTMP', 'FP', 1, 10 ], [ 'FPTMP', 'FP', 1, 10 ],
     [ 'templatev10', 'FP', 1, 10 ], [ 'FACE', 'FACE', 2, 7 ],
     [ 'FACETMP', 'FACE', 2, 7 ], [ 'facetmpv10', 'FACE', 2, 7 ],
     [ 'FVEIN', 'FVEIN', 7, 3 ])
{
    my ($table, $source, $type, $version) = @$_;

    upload("table=$table", $table, "PIN=1\tFID=2\tTMP=AAAA\n", 'OK: 1',
           "template|$source|1|$type|2|0|$version|0|0|1|0|000000");
    upload("table=$table with its tag", $table,
           "$table PIN=1\tFID=2\tTMP=AAAA\n", 'OK: 1',
           "template|$source|1|$type|2|0|$version|0|0|1|0|000000");
}
upload('the same template three times', 'FINGERTMP', join('', map {
       "PIN=1\tFID=2\tTMP=AAA$_\n" } 'A' .. 'C'), 'OK: 3',
       'template|FP|1|1|2|0|10|0|0|1|0|000002');
upload('templatev10, its own keys', 'templatev10',
       "Pin=1\tFingerID=3\tValid=1\tTemplate=AAAA\n", 'OK: 1',
       'template|FP|1|1|3|0|10|0|0|1|0|000000');


# photos of users

upload('2.4.1, 11.13', 'OPERLOG',
       "USERPIC PIN=123\tFileName=123.jpg\tSize=10\tContent=AAAAAAAA\n",
       'OK: 1', 'photo|user|123.jpg|123|||||000000000000');
upload('2.4.1, 11.15', 'OPERLOG', "BIOPHOTO PIN=123\tFileName=123.jpg\tType=2"
       . "\tSize=95040\tContent=AAAA\n", 'OK',
       'photo|comparison|123.jpg|123|||2||000000');
upload('two types under one name', 'OPERLOG',
       "BIOPHOTO PIN=123\tFileName=123.jpg\tType=2\tContent=AAAA\n"
       . "BIOPHOTO PIN=123\tFileName=123.jpg\tType=9\tContent=AAAB\n",
       'OK', 'photo|comparison|123.jpg|123|||2||000000',
       'photo|comparison|123.jpg|123|||9||000001');
upload('comparison photos and others', 'OPERLOG',
       "BIOPHOTO PIN=123\tFileName=123.jpg\tType=2\tContent=AAAA\n"
       . "USERPIC PIN=9\tFileName=9.jpg\tContent=/9j/\n",
       'OK: 2', 'photo|comparison|123.jpg|123|||2||000000',
       'photo|user|9.jpg|9|||||ffd8ff');
upload('BIOPHOTO with No and Index', 'BIOPHOTO', "BIOPHOTO PIN=9\tNo=0"
       . "\tIndex=0\tFileName=9.jpg\tType=0\tSize=36908\tContent=/9j/\n",
       'OK', 'photo|comparison|9.jpg|9|||0||ffd8ff');
upload('table=USERPIC', 'USERPIC', "PIN=9\tFileName=9.jpg\tContent=/9j/\n",
       'OK: 1', 'photo|user|9.jpg|9|||||ffd8ff');
upload('USERPIC without a file name', 'OPERLOG', "USERPIC PIN=9\tContent=/9j/",
       'OK: 1', 'photo|user|9.jpg|9|||||ffd8ff');
upload('USERPIC without content', 'OPERLOG', "USERPIC PIN=9\tFileName=9.jpg\n",
       'OK: 1', "rejected|OPERLOG|content is empty|USERPIC PIN=9"
       . "\tFileName=9.jpg");
upload('USERPIC that is not base64', 'OPERLOG',
       "USERPIC PIN=9\tFileName=9.jpg\tContent=?\n", 'OK: 1',
       "rejected|OPERLOG|content is not base64|USERPIC PIN=9"
       . "\tFileName=9.jpg\tContent=?");


# photos of attendance: all forms, on cdata and fdata; line ends are bytes of
# the picture

my $jpeg = "\xff\xd8\xff\xe0\0\n\r\n\0\t\xff\xd9";
my $hex = unpack 'H*', $jpeg;
my $base64 = encode_base64($jpeg, '');
my $time = '2015-07-31 10:30:12';
my $made = sprintf '123-%08x.jpg', crc32($jpeg);
my $head = "PIN=20150731103012-123.jpg\nSN=X\nsize=12\n";
my $row = "photo|attendance|20150731103012-123.jpg|123|$time|0|||$hex";
my $made_row = "photo|attendance|$made|123||0|||$hex";

for my $where ('cdata?table=ATTPHOTO', 'fdata?table=ATTPHOTO', 'fdata?a=b') {
    upload("$where: NUL and binary", $where, "${head}CMD=uploadphoto\0$jpeg",
           'OK', $row)->{raw} = 1;
    upload("$where: realupload", $where, "${head}CMD=realupload\0$jpeg", 'OK',
           $row)->{raw} = 1;
    upload("$where: picture=", $where,
           "${head}CMD=uploadphoto\npicture=$base64", 'OK', $row);
    upload("$where: base64 after the command", $where,
           "${head}CMD=uploadphoto$base64", 'OK', $row);
    upload("$where: photo=", $where,
           "PIN=123\tSN=X\tsize=20480\tphoto=$base64", 'OK', $made_row);
    upload("$where: a raw JPEG", "$where&PIN=123&time=2015-07-31%2010:30:12",
           $jpeg, 'OK', $row)->{raw} = 1;
}

upload('a raw JPEG, time with a plus',
       'table=ATTPHOTO&PIN=123&time=2015-07-31+10:30:12', $jpeg, 'OK', $row)
    ->{raw} = 1;
upload('a raw JPEG without time', 'table=ATTPHOTO&PIN=123', $jpeg, 'OK',
       $made_row)->{raw} = 1;
upload('a raw JPEG, time in one word', 'table=ATTPHOTO&PIN=123'
       . '&time=20150731103012', $jpeg, 'OK', $row)->{raw} = 1;
upload('a raw JPEG, a file name as PIN',
       'table=ATTPHOTO&PIN=20150731103012-123.jpg', $jpeg, 'OK', $row)
    ->{raw} = 1;
upload('a raw JPEG and nothing else', 'table=ATTPHOTO', $jpeg, 'OK',
       'rejected|ATTPHOTO|pin is empty|\377\330\377\340\000' . "\n\r\n"
       . "\\000\t\\377\\331")->{raw} = 1;
upload('nobody recognized', 'ATTPHOTO', "PIN=20150731103012.jpg\nSN=X\n"
       . "size=12\nCMD=uploadphoto\0$jpeg", 'OK',
       "photo|attendance|20150731103012.jpg||$time|1|||$hex")->{raw} = 1;
upload('2.4.1, 11.8', 'table=ATTPHOTO&Stamp=9999',
       "PIN=20160615093758-0-1457-210000199001010011.jpg\nSN=X\nsize=9512\n"
       . "CMD=uploadphoto\0$jpeg", 'OK', 'photo|attendance'
       . '|20160615093758-0-1457-210000199001010011.jpg|1457'
       . "|2016-06-15 09:37:58|0||210000199001010011|$hex",
       'stamp|ATTPHOTO|9999')->{raw} = 1;
upload("identity card photo of type $_", 'ATTPHOTO',
       "PIN=20160615093758-$_-7-21X.jpg\nSN=X\nsize=12\nCMD=uploadphoto\0"
       . $jpeg, 'OK', "photo|attendance|20160615093758-$_-7-21X.jpg|7"
       . "|2016-06-15 09:37:58|$_||21X|$hex")->{raw} = 1 for 1 .. 4;
upload('CRLF in the head of a photo', 'ATTPHOTO', $head =~ s/\n/\r\n/gr
       . "CMD=uploadphoto\0$jpeg", 'OK', $row)->{raw} = 1;
upload('2.4.1, 11.3: a head on one line', 'ATTPHOTO',
       $head =~ s/\n/ /gr . "CMD=uploadphoto\0$jpeg", 'OK', $row)->{raw} = 1;
upload('SDK 3.2.0, 2.4.4: a name without an extension', 'ATTPHOTO',
       $head =~ s/\.jpg//r . "CMD=realupload\0$jpeg", 'OK',
       $row =~ s/\.jpg//r)->{raw} = 1;
upload('SDK 3.2.0, 2.4.4: nobody recognized', 'ATTPHOTO',
       "PIN=20150731103012\nSN=X\nsize=12\nCMD=uploadphoto\0$jpeg", 'OK',
       "photo|attendance|20150731103012||$time|1|||$hex")->{raw} = 1;
upload('a photo without NUL', 'ATTPHOTO', "${head}CMD=uploadphoto\n$jpeg",
       'OK', $row)->{raw} = 1;
upload('a head without a photo', 'ATTPHOTO', "${head}CMD=uploadphoto\0", 'OK',
       'rejected|ATTPHOTO|content is empty|' . $head . 'CMD=uploadphoto\000')
    ->{raw} = 1;
upload('no photo at all', 'ATTPHOTO', '', 'OK');


# identity cards

my $card = "IDCARD PIN=2\tSNNum=AB01\tIDNum=210000199112180011\tDNNum=\t"
           . "Name=Zhang San\tGender=1\tNation=1\tBirthday=19911218\t"
           . "ValidInfo=2017091520270915\tAddress=Province A, Village B\t"
           . "AdditionalInfo=\tIssuer=Bureau\tPhoto=/9j/\tFPTemplate1=QUJD\t"
           . "FPTemplate2=REVG\tReserve=\tNotice=n\n";
my $card_row = 'card|210000199112180011|2|AB01||Zhang San|1|1|19911218'
               . '|2017091520270915|Province A, Village B||Bureau|ffd8ff'
               . '|414243|444546||n';

upload('2.4.1, 11.6', 'table=IDCARD&Stamp=9999', $card, 'OK: 1', $card_row,
       'stamp|IDCARD|9999');
upload('an identity card in OPERLOG', 'OPERLOG', $card, 'OK: 1', $card_row);
upload('an identity card without tag', 'IDCARD', $card =~ s/^IDCARD //r,
       'OK: 1', $card_row);
upload('an identity card not bound to a user', 'IDCARD',
       "IDCARD PIN=0\tIDNum=21X\tName=A\n", 'OK: 1', 'card|21X|0|||A');
upload('the same identity card three times', 'IDCARD', join('', map {
       "IDCARD IDNum=21X\tName=$_\n" } 'A' .. 'C'), 'OK: 3', 'card|21X||||C');
upload('two lines of one identity card', 'IDCARD',
       "IDCARD IDNum=21X\tName=A\tPhoto=/9j/\nIDCARD IDNum=21X\tName=B\n",
       'OK: 2', 'card|21X||||B||||||||ffd8ff');
uploads('what is not sent of an identity card is left alone', [
        [ 'IDCARD', "IDCARD PIN=2\tIDNum=21X\tName=A\tGender=1"
          . "\tBirthday=19911218\tPhoto=/9j/\tFPTemplate1=QUJD\n", 'OK: 1' ],
        [ 'IDCARD', "IDCARD IDNum=21X\tNation=1\tAddress=B\tPhoto=null"
          . "\tFPTemplate2=REVG\tNotice=n\n", 'OK: 1' ],
        [ 'IDCARD', "IDCARD IDNum=21X\tPhoto=?\n", 'OK: 1' ] ],
        'card|21X|2|||A|1|1|19911218||B|||ffd8ff|414243|444546||n',
        "rejected|IDCARD|photo is not base64|IDCARD IDNum=21X\tPhoto=?");
upload('what is sent empty of an identity card is erased', 'OPERLOG',
       "IDCARD IDNum=21X\tName=A\tPhoto=/9j/\n"
       . "IDCARD IDNum=21X\tName=\tPhoto=\n", 'OK: 2', 'card|21X');
upload('an identity card without number', 'IDCARD',
       "IDCARD PIN=2\tName=A\n", 'OK: 1',
       "rejected|IDCARD|id_number is empty|IDCARD PIN=2\tName=A");
upload('an identity card with a bad photo', 'IDCARD',
       "IDCARD IDNum=21X\tName=A\tPhoto=?\n", 'OK: 1', 'card|21X||||A',
       "rejected|IDCARD|photo is not base64|IDCARD IDNum=21X\tName=A"
       . "\tPhoto=?");


# ERRORLOG and WORKCODE

upload('2.4.1, 11.16', 'table=ERRORLOG&Stamp=9999', "ERRORLOG ErrCode=D01E0001"
       . "\tErrMsg=\tDataOrigin=cmd\tCmdId=123\tAdditional=\n", 'OK',
       'error|D01E0001||cmd|123', 'stamp|ERRORLOG|9999');
upload('two errors, one of them twice', 'ERRORLOG', ("ErrCode=D01E0001"
       . "\tErrMsg=a b\tDataOrigin=dev\n") x 2 . "ErrCode=D01E0002\tErrMsg=c"
       . "\tAdditional=e30=\n", 'OK', 'error|D01E0001|a b|dev',
       'error|D01E0002|c|||e30=');
upload('no error', 'ERRORLOG', "what?\n", 'OK',
       'rejected|ERRORLOG|no known field|what?');
upload('work codes', 'WORKCODE', "WORKCODE PIN=1\tCODE=7\tName=Weld\n"
       . "Code=8\tName=Paint\n", 'OK: 2', 'work|7|Weld|1', 'work|8|Paint');
upload('the same work code three times', 'WORKCODE', join('', map {
       "Code=7\tName=$_\n" } qw/ Weld Paint Drill /), 'OK: 3', 'work|7|Drill');
uploads('what is not sent of a work code is left alone',
        [ [ 'WORKCODE', "WORKCODE PIN=1\tCODE=7\tName=Weld\n", 'OK: 1' ],
          [ 'WORKCODE', "CODE=7\n", 'OK: 1' ] ],
        'work|7|Weld|1');
upload('a work code without code', 'WORKCODE', "WORKCODE Name=Weld\n",
       'OK: 1', 'rejected|WORKCODE|code is empty|WORKCODE Name=Weld');


# options

upload('2.4.1, 8', 'options', 'FingerFunOn=1,FaceFunOn=1', 'OK',
       'option|FaceFunOn|1', 'option|FingerFunOn|1');
upload('options with commas, without values', 'options',
       '~DeviceName=X,MAC=00:17:61:00:00:01,~OEMVendor=ZKTECO CO., LTD.,'
       . 'FWVersion=Ver 8.0.4, build 7,~MaxAttLogCount=20,RegDeviceType=,'
       . 'VideoTID=', 'OK', 'device|Ver 8.0.4, build 7',
       'option|DeviceName|X', 'option|FWVersion|Ver 8.0.4, build 7',
       'option|MAC|00:17:61:00:00:01', 'option|MaxAttLogCount|20',
       'option|OEMVendor|ZKTECO CO., LTD.', 'option|RegDeviceType',
       'option|VideoTID');
upload('what the device row shows', 'options', 'FWVersion=Ver 9,UserCount=12,'
       . 'FPCount=34,TransactionCount=56,FaceCount=78,IPAddress=192.168.1.201,'
       . 'FPVersion=10,FaceVersion=7,MultiBioVersion=0:10:0:7', 'OK',
       'device|Ver 9|12|34|78|56|192.168.1.201|10|7|||0:10:0:7',
       'option|FaceCount|78', 'option|FaceVersion|7', 'option|FPCount|34',
       'option|FPVersion|10', 'option|FWVersion|Ver 9',
       'option|IPAddress|192.168.1.201', 'option|MultiBioVersion|0:10:0:7',
       'option|TransactionCount|56', 'option|UserCount|12');
upload('lists by biometric type', 'options', 'FaceFunOn=1,'
       . 'MultiBioVersion=0:13:0:0:0:0:0:3:0:58,'
       . 'MultiBioDataCount=0:120:7:0:0:0:0:0:0:30,'
       . '~MultiBioPhotoCount=0:0:0:0:0:0:0:0:0:31', 'OK',
       'device|||120|37|||13|58|||0:13:0:0:0:0:0:3:0:58'
       . '|0:120:7:0:0:0:0:0:0:30|0:0:0:0:0:0:0:0:0:31',
       'option|FaceFunOn|1', 'option|MultiBioDataCount|0:120:7:0:0:0:0:0:0:30',
       'option|MultiBioPhotoCount|0:0:0:0:0:0:0:0:0:31',
       'option|MultiBioVersion|0:13:0:0:0:0:0:3:0:58');
upload('numbers and addresses that are none', 'options', 'UserCount=many,'
       . 'FPCount=99999999999,IPAddress=300.1.2.3,FaceCount=-1', 'OK',
       'option|FaceCount', 'option|FPCount|99999999999',
       'option|IPAddress|300.1.2.3', 'option|UserCount|many');
upload('the same option twice', 'options', 'A=1,A=2', 'OK', 'option|A|2');
upload('options on lines', 'options', "A=1\nB=2,3\n", 'OK', 'option|A|1',
       'option|B|2,3');
upload('no option', 'options', 'hello', 'OK',
       'rejected|options|not an option|hello');
upload('an option that is no text', 'options', "A=1,B=\xff,C=3", 'OK',
       'option|A|1', 'option|C|3',
       'rejected|options|value is not valid text|B=\377');
upload('no options', 'options', '', 'OK');


# INFO of a poll

my $poll = 'getrequest?INFO=';

uploads('2.4.1, 9', [ [ $poll . 'Ver%202.0.12-20150625,0,0,0,192.168.16.27,'
        . '10,7,15,0,111', undef, 'OK' ] ],
        'device|2.0.12-20150625|0|0|0|0|192.168.16.27|10|7',
        'option|FaceCount|0', 'option|FaceMinCount|15', 'option|FaceVersion|7',
        'option|FPCount|0', 'option|FPVersion|10', 'option|FunctionFlags|111',
        'option|FWVersion|2.0.12-20150625', 'option|IPAddress|192.168.16.27',
        'option|TransactionCount|0', 'option|UserCount|0');
uploads('SDK 3.2.0, nine values', [ [ $poll . '%20Ver%206.8.0(build640),2,0,'
        . '0,192.168.1.201,10,-1,-12,101', undef, 'OK' ] ],
        'device|6.8.0(build640)|2|0||0|192.168.1.201|10',
        'option|FaceCount|-12', 'option|FaceVersion', 'option|FPCount|0',
        'option|FPVersion|10', 'option|FunctionFlags|101',
        'option|FWVersion|6.8.0(build640)', 'option|IPAddress|192.168.1.201',
        'option|TransactionCount|0', 'option|UserCount|2');
uploads('four values', [ [ $poll . 'ZMM510-8.0.4,5,6,7', undef, 'OK' ] ],
        'device|ZMM510-8.0.4|5|6||7', 'option|FPCount|6',
        'option|FWVersion|ZMM510-8.0.4', 'option|TransactionCount|7',
        'option|UserCount|5');
uploads('thirteen values', [ [ $poll . 'Z,1,2,3,10.0.0.1,10,12,0,4,11111,0,'
        . '1,2', undef, 'OK' ] ], 'device|Z|1|2|4|3|10.0.0.1|10|12',
        'option|FaceCount|4', 'option|FaceMinCount|0', 'option|FaceVersion|12',
        'option|FPCount|2', 'option|FPVersion|10',
        'option|FunctionFlags|11111', 'option|FWVersion|Z', 'option|Info11|0',
        'option|Info12|1', 'option|Info13|2', 'option|IPAddress|10.0.0.1',
        'option|TransactionCount|3', 'option|UserCount|1');
uploads('a count changes', [ [ $poll . 'Z,1,2,3', undef, 'OK' ],
        [ $poll . 'Z,1,2,4', undef, 'OK' ] ], 'device|Z|1|2||4',
        'option|FPCount|2', 'option|FWVersion|Z', 'option|TransactionCount|4',
        'option|UserCount|1');
uploads('empty INFO', [ [ $poll, undef, 'OK' ] ]);
uploads('INFO to the other paths of polls', [
        [ 'getreq?INFO=Z,1', undef, 'OK' ],
        [ 'service/control?INFO=Z,2', undef, 'OK' ] ], 'device|Z|2',
        'option|FWVersion|Z', 'option|UserCount|2');


# the passes

cmp_ok(scalar @case, '>=', 150, 'at least 150 bodies');

my $t = Test::IClock->new;

$t->psql(join '', map {
    my $n = $_;
    my $encoding = $case[$n]{encoding};
    !$encoding ? () : map { "INSERT INTO iclock.device (serial_number, status,"
                            . " encoding) VALUES ('$_$n', 'active',"
                            . " '$encoding');\n" } qw/ ONCE- BYTE- CRLF- /
} 0 .. $#case);

# where all is slow PostgreSQL may take longer than by default
my $conf = $t->device_server(pool => 'timeout=1m');

$t->start($conf);


# sends the bodies of all cases; each reply is a test with the name of its case

sub send_all {
    my ($pass, $prefix, %option) = @_;

    # one serves a thousand requests
    my $c = $t->connect();

    for my $n (0 .. $#case) {
        my $case = $case[$n];

        for (@{$case->{steps}}) {
            my ($query, $body, $reply) = @$_;

            $body =~ s/\r?\n/\r\n/g
                if defined $body && $option{crlf} && !$case->{raw};

            my $r = $c->request(Test::IClock::HTTP::format_request(
                        defined $body ? 'POST' : 'GET',
                        uri("$prefix$n", $query), $body, -keepalive => 1),
                        split => $option{split});

            my $got = $r ? $r->text : 'nothing';
            my $name = "$pass$case->{name}: reply";

            ref $reply ? like($got, qr/^200 $reply/, $name)
                       : is($got, "200 $reply", $name);

            $c = $t->connect() if !$r || $c->closed(0);
        }
    }

    return;
}


sub uri {
    my ($sn, $query) = @_;

    my $uri = $query =~ /^\w+(?:\/\w+)?\?/ ? $query
            : $query =~ /=/ ? "cdata?$query" : "cdata?table=$query";

    return "/iclock/$uri" =~ s/\?/?SN=$sn&/r;
}


# the rows of a device, by the number of its case

sub rows {
    my ($prefix) = @_;

    my @rows = map { [] } @case;
    my $last;

    for (split /\n(?=\w+-\d+ \w+\|)/, $t->psql(rows_sql())) {
        my ($sn, $n, $line) = /^(\w+-)(\d+) (.*)\z/s;

        push @{$rows[$n]}, $line if $sn eq $prefix;
    }

    # names of options sort by the locale
    return map { join "\n", sort @$_ } @rows;
}

send_all('', 'ONCE-');

my @first = rows('ONCE-');

is($first[$_], join("\n", sort @{$case[$_]{rows}}), "$case[$_]{name}: rows")
    for 0 .. $#case;

# where identity cards are, and who has written or locked them last

sub cards {
    return $t->psql("SELECT string_agg(concat_ws(' ', c.ctid, c.xmin, c.xmax),"
                    . " ',' ORDER BY c.device_id, c.id_number), count(*) > 5"
                    . " FROM iclock.identity_card c JOIN iclock.device d"
                    . " ON d.id = c.device_id"
                    . " WHERE d.serial_number LIKE 'ONCE-%'");
}

my $cards = cards();

for ([ 'sent again', 'ONCE-' ],
     [ 'one byte at a time', 'BYTE-', split => 1 ],
     [ 'with CRLF', 'CRLF-', crlf => 1 ])
{
    my ($pass, $prefix, %option) = @$_;

    send_all("$pass: ", $prefix, %option);

    my @rows = rows($prefix);

    is($rows[$_], $first[$_], "$pass: $case[$_]{name}: rows") for 0 .. $#case;
}

is(cards(), $cards, 'sent again: identity cards are not written again');
like($cards, qr/\|t\z/, 'there are some');


# Bodies that end anywhere: each is taken, and the next one, too.

my @cut;

for my $n (0 .. $#case) {
    for (@{$case[$n]{steps}}) {
        my ($query, $body) = @$_;

        next if !defined $body || length $body > 500;

        push @cut, [ 'POST', uri("CUT-$n", $query), substr $body, 0, $_ ]
            for 0 .. length($body) - 1;
    }
}

my @cut_response = $t->concurrently(\@cut, connections => 64);
my @cut_bad = grep { !$cut_response[$_]
                     || $cut_response[$_]->text !~ /^200 OK(?:: \d+)?\z/ }
              0 .. $#cut;

is(scalar @cut_bad, 0, 'bodies that end anywhere: ' . @cut)
    or diag("$cut[$cut_bad[0]][1]: $cut[$cut_bad[0]][2]");


# times: punched_at by the offset that is sent, or by the zone of the device, or
# else of the location

is($t->psql("SELECT DISTINCT punched_at - local_time AT TIME ZONE 'UTC'"
            . " FROM iclock.punch WHERE extra[4] IS DISTINCT FROM '+28800'"),
   '00:00:00', 'without a zone: UTC');
is($t->psql("SELECT DISTINCT punched_at - local_time AT TIME ZONE 'UTC'"
            . " FROM iclock.punch WHERE extra[4] = '+28800'"),
   '-08:00:00', 'by the offset that the device sends');

$t->psql("INSERT INTO iclock.device (serial_number, status, timezone) VALUES"
         . " ('BERLIN', 'active', 'Europe/Berlin'),"
         . " ('KATHMANDU', 'active', 'Asia/Kathmandu'),"
         . " ('LORDHOWE', 'active', 'Australia/Lord_Howe'),"
         . " ('PHOENIX', 'active', 'America/Phoenix')");

is($t->device('BERLIN')->punches([ 1, '2026-07-01 12:00:00' ],
                                 [ 1, '2026-12-01 12:00:00' ],
                                 [ 1, '2026-03-29 02:30:00' ],
                                 [ 1, '2026-10-25 02:30:00' ])->text,
   '200 OK: 4', 'a zone with a change of clocks');
is($t->device('KATHMANDU')->punches([ 2, '2026-07-01 12:00:00' ])->text,
   '200 OK: 1', 'a zone of quarters');
is($t->device('LORDHOWE')->punches([ 3, '2026-04-05 01:45:00' ],
                                   [ 3, '2026-10-04 02:15:00' ])->text,
   '200 OK: 2', 'a zone that changes by half an hour');
is($t->device('PHOENIX')->punches([ 4, '2026-03-08 02:30:00' ])->text,
   '200 OK: 1', 'a zone that never changes');
is($t->psql("SELECT to_char(punched_at, 'MM-DD HH24:MI') FROM iclock.punch p"
            . " JOIN iclock.device d ON d.id = p.device_id"
            . " WHERE timezone IS NOT NULL ORDER BY serial_number, local_time"),
   "03-29 01:30\n07-01 10:00\n10-25 01:30\n12-01 11:00\n07-01 06:15"
   . "\n04-04 15:15\n10-03 15:45\n03-08 09:30",
   'punched_at: the hour that is skipped, the second of those that come twice');


# size

my $photo = "\xff\xd8\xff" . join '', map { pack 'N', $_ * 2654435761
                                                      % 4294967296 }
                                      1 .. 786_432;

is($t->device('CAMERA')->photo('20260922093105-7.jpg', $photo)->text,
   '200 OK', 'a photo of 3 MB');
is($t->psql("SELECT octet_length(content), md5(content) FROM iclock.photo p"
            . " JOIN iclock.device d ON d.id = p.device_id"
            . " WHERE serial_number = 'CAMERA'"),
   length($photo) . '|' . md5_hex($photo), 'it is stored');

is($t->device('MANY')->punches(map { [ $_, $p, 0, 1, 0, 0, 0 ] } 1 .. 10000)
     ->text, '200 OK: 10000', '10,000 lines');
is($t->psql("SELECT count(*) FROM iclock.punch p JOIN iclock.device d"
            . " ON d.id = p.device_id WHERE serial_number = 'MANY'"), 10000,
   'they are stored');


# what no line of a transaction has is not sent, array by array

$t->psql("ALTER ROLE iclock_nginx SET log_statement = 'all'");
$t->quit();
$t->start($conf, workers => 1);
is($t->device('FEWER')->punches([ 7, $p, 0, 1 ],
                                [ 8, $p, 0, 1, '', 0, 0, 'z' ])->text,
   '200 OK: 2', 'lines of four columns and of eight');

my $parameters = qr/.*\n.* [Pp]arameters: .*(\$6 = .*)/;
my ($sent) = slurp($t->pg->{log}) =~ /execute iclock_punch: $parameters/;

is($sent, join(', ', "\$6 = '{1,1}'", map({ "\$$_ = NULL" } 7 .. 13),
               "\$14 = '{NULL,z}'", "\$15 = NULL"),
   'none of the columns that they have not');

is($t->device('FEWER')->punches([ 10, $p, 0, 1 ], [ 11, $p, 0, 1 ])->text,
   '200 OK: 2', 'lines of four columns');
($sent) = slurp($t->pg->{log}) =~ /execute iclock_usual_punches: $parameters/;
is($sent, "\$6 = '{1,1}', \$7 = NULL", 'nothing that few lines have');

# and a line alone is none

is($t->device('FEWER')->punches([ 9, $p, 0, 1 ])->text, '200 OK: 1',
   'a line of four columns');
($sent) = slurp($t->pg->{log}) =~ /execute iclock_one_punch: $parameters/;
is($sent, "\$6 = '1', \$7 = NULL", 'it is sent as values');


# punches by the dozen: those that are stored already, or come twice

sub dozens {
    my ($name, $expected, $statement, @line) = @_;

    my $sent = @line;
    my $had = -s $t->pg->{log};

    is($t->device('DOZENS')->punches(@line)->text, "200 OK: $sent",
       "dozens: $name");

    my $log = substr slurp($t->pg->{log}), $had;

    is(join(' ', $log =~ /execute (iclock_\w*punch\w*): /g), $statement,
       "$name: the statement");
    unlike($log, qr/ERROR|FATAL/, "$name: no complaint");
    is($t->psql("SELECT count(*), count(*) FILTER (WHERE mask = 1 AND"
                . " temperature = 36.6 AND extra = '{1,36.6,97.9}'),"
                . " count(DISTINCT p.txid) FROM iclock.punch p"
                . " JOIN iclock.device d ON d.id = p.device_id"
                . " WHERE serial_number = 'DOZENS'"), $expected,
       "$name: what is stored");

    return;
}

my @dozens = map { my @more = $_ % 3 ? () : (0, 0, 0, 1, 36.6, 97.9);
                   [ $_, $p, 0, 1, @more ] } 1 .. 99;

dozens('new ones', '40|13|1', 'iclock_new_punches', @dozens[0 .. 39]);
dozens('more of them', '80|26|2', 'iclock_new_punches', @dozens[40 .. 79]);
dozens('some again', '89|29|3', 'iclock_new_punches', @dozens[50 .. 88]);
dozens('new ones after that', '99|33|4', 'iclock_punch',
       @dozens[60 .. 98]);

$t->quit();
$t->start($conf, workers => 1);
dozens('one of them twice', '139|33|5', 'iclock_new_punches',
       map({ [ $_, $p, 0, 2 ] } 1 .. 40), [ 7, $p, 0, 2 ]);

$t->quit();
$t->start($conf, workers => 1);
$t->psql('ALTER TABLE iclock.punch ADD CONSTRAINT not_66666'
         . " CHECK (pin <> '66666')");
is($t->device('DOZENS')->punches(map { [ 66600 + $_, $p, 0, 1 ] } 1 .. 80)
     ->text, '200 OK: 80', 'dozens: one that cannot be stored');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE pin ~ '^666[0-8].\$'"
            . " AND device_id = (SELECT id FROM iclock.device"
            . " WHERE serial_number = 'DOZENS')"), 79,
   'the others are stored');
is($t->psql("SELECT count(*) FROM iclock.rejected_line r"
            . " JOIN iclock.device d ON d.id = r.device_id WHERE"
            . " serial_number = 'DOZENS' AND reason LIKE '23514: %'"), 1,
   'it is kept');


# nothing is written of a column before the first line that has it

is($t->device('LASTONE')->punches((map { [ $_, $p, 0, 1 ] } 1 .. 99),
                                  [ 100, $p, 0, 1, 0, 0, 0, 1, 36.6, 97.9 ])
     ->text, '200 OK: 100', 'columns that the last of many lines has alone');
is($t->psql("SELECT count(*), string_agg(CASE WHEN mask <> -1 OR"
            . " temperature IS NOT NULL OR extra IS NOT NULL THEN"
            . " concat_ws(' ', pin, mask, temperature, extra) END, ',')"
            . " FROM iclock.punch p JOIN iclock.device d"
            . " ON d.id = p.device_id WHERE serial_number = 'LASTONE'"),
   '100|100 1 36.6 {1,36.6,97.9}', 'are those of the last line');


# by the dozen and one by one: the same rows

$t->quit();
$t->start($conf, workers => 1);

my @shape = (
    [ 0, 1 ], [ 255, 15, 9 ], [ 1, 4, '', 'x' ], [ 0, 1, 0, 0, 0, 'z' ],
    [ 0, 1, 9, 0, 0, '21000019900101001X', 0 ],
    [ 0, 1, 9, 0, 0, 1, 36.6, 97.9 ],
    [ 0, 1, '', 0, 0, 0, 0, 28800 ],
    [ 1, 0, 9001, 0, 0, 1 .. 6, '1.0', '2.0', '3.0' ],
);
my @same = map { my $n = $_;
                 [ $n, sprintf('2026-04-%02d 02:30:00', 1 + $n % 28),
                   @{$shape[$n % @shape]} ] } 1 .. 40;

for my $sn (qw/ SAME0001 SAME0002 SAME0003 /) {
    is($t->device($sn)->handshake()->status, 200, "$sn: a handshake");
    $t->psql("SELECT iclock.set_device('$sn', timezone => 'Asia/Kolkata')");
}

my $had = -s $t->pg->{log};

is($t->device('SAME0001')->punches(@same)->text, '200 OK: 40',
   'forty lines at once');
is($t->device('SAME0002')->punches(@same[$_ * 10 .. $_ * 10 + 9])->text,
   '200 OK: 10', 'ten of them') for 0 .. 3;
is(join(',', map { $t->device('SAME0003')->punches($_)->text } @same),
   join(',', ('200 OK: 1') x 40), 'one after the other');
is(join(' ', substr(slurp($t->pg->{log}), $had)
             =~ /execute (iclock_\w*punch\w*): /g),
   join(' ', 'iclock_new_punches', ('iclock_punch') x 4,
        map { $_ % @shape < 3 ? 'iclock_one_punch' : 'iclock_punch' } 1 .. 40),
   'by three statements, one of them without what few lines have');
is($t->psql("SELECT count(*), count(DISTINCT kept - 'pin' - 'local_time'"
            . " - 'punched_at') > 7 FROM (SELECT to_jsonb(p)"
            . " - '{device_id,received_at,txid}'::text[] AS kept"
            . " FROM iclock.punch p JOIN iclock.device d ON d.id = p.device_id"
            . " WHERE serial_number LIKE 'SAME%' GROUP BY 1"
            . " HAVING count(*) = 3) s"), '40|t', 'the same rows');


# a schema that is older than the module

$t->quit();
$t->start($conf, workers => 1);
$t->psql('ALTER FUNCTION iclock.store_punches RENAME TO other_punches');

my @older = map { [ $_, $p, 0, 4 ] } 1 .. 40;

is($t->device('SAME0001')->punches(@older)->status, 503,
   'an older schema: forty lines');
like($t->error_log(), qr/SQLSTATE 42883: .*store_punches.*upgrade the schema/,
     'an older schema: it tells what to do');
is($t->device('SAME0001')->punches(@older)->text, '200 OK: 40',
   'an older schema: they are stored when they come again');
$t->psql('ALTER FUNCTION iclock.other_punches RENAME TO store_punches');

$t->done();
