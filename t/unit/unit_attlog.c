
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* attlog: every form of a punch */


#include "unit.h"


const unit_case_t  unit_attlog_cases[] = {

    { "attlog: 3 columns", "ATTLOG",
      unit_string("4301\t2026-07-15 09:00:00\t0\n"),
      1,
      "punch pin='4301' local_time=2026-07-15T09:00:00 status=0 verify=-1\n",
      unit_no_context },

    { "attlog: 4 columns", "ATTLOG",
      unit_string("1001\t2026-10-03 06:16:00\t0\t1\n"),
      1,
      "punch pin='1001' local_time=2026-10-03T06:16:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: 5 columns", "ATTLOG",
      unit_string("1001\t2024-03-15 08:30:00\t0\t1\t\n"),
      1,
      "punch pin='1001' local_time=2024-03-15T08:30:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: 6 columns", "ATTLOG",
      unit_string("501\t2026-09-29 18:05:10\t0\t1\t0\t0\n"),
      1,
      "punch pin='501' local_time=2026-09-29T18:05:10 status=0 verify=1 work_"
      "code='0'\n",
      unit_no_context },

    { "attlog: 7 columns", "ATTLOG",
      unit_string("1452\t2015-07-30 15:16:28\t0\t1\t0\t0\t0\n"),
      1,
      "punch pin='1452' local_time=2015-07-30T15:16:28 status=0 verify=1 work"
      "_code='0'\n",
      unit_no_context },

    { "attlog: pin is not a number", "ATTLOG",
      unit_string("5_4968\t2026-06-17 08:00:00\t0\t1\t\t0\t0\n"),
      1,
      "punch pin='5_4968' local_time=2026-06-17T08:00:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: 2 columns", "ATTLOG",
      unit_string("4301\t2026-07-15 09:00:00"),
      1,
      "punch pin='4301' local_time=2026-07-15T09:00:00 status=-1 verify=-1\n",
      unit_no_context },

    { "attlog: 1 column", "ATTLOG",
      unit_string("4301\n"),
      1,
      "rejected (local_time is empty): 4301\n",
      unit_no_context },

    { "attlog: work code", "ATTLOG",
      unit_string("982\t2008-02-25 12:08:21\t1\t0\t9001\n"
                  "982\t2008-02-25 18:01:09\t1\t0\t9001\n"),
      2,
      "punch pin='982' local_time=2008-02-25T12:08:21 status=1 verify=0 work_"
      "code='9001'\n"
      "punch pin='982' local_time=2008-02-25T18:01:09 status=1 verify=0 work_"
      "code='9001'\n",
      unit_no_context },

    { "attlog: push 2.4.1, 11.2", "ATTLOG",
      unit_string("1452\t2015-07-30 15:16:28\t0\t1\t0\t0\t0\n"
                  "1452\t2015-07-30 15:16:29\t0\t1\t0\t0\t0\n"
                  "8965\t2015-07-30 15:16:36\t0\t1\t0\t0\t0\n"),
      3,
      "punch pin='1452' local_time=2015-07-30T15:16:28 status=0 verify=1 work"
      "_code='0'\n"
      "punch pin='1452' local_time=2015-07-30T15:16:29 status=0 verify=1 work"
      "_code='0'\n"
      "punch pin='8965' local_time=2015-07-30T15:16:36 status=0 verify=1 work"
      "_code='0'\n",
      unit_no_context },

    { "attlog: push 2.4.1, 11.7: identity card", "ATTLOG",
      unit_string("1452\t2015-07-30 15:16:28\t0\t1\t0\t0\t0\t2102181990010100"
                  "00\t0\n"
                  "1452\t2015-07-30 15:16:29\t0\t1\t0\t0\t0\t2102181990010100"
                  "0X\t1\n"),
      2,
      "punch pin='1452' local_time=2015-07-30T15:16:28 status=0 verify=1 work"
      "_code='0' id_number='210218199001010000' record_type=0 extra='21021819"
      "9001010000|0'\n"
      "punch pin='1452' local_time=2015-07-30T15:16:29 status=0 verify=1 work"
      "_code='0' id_number='21021819900101000X' record_type=1 extra='21021819"
      "900101000X|1'\n",
      unit_no_context },

    { "attlog: 9 columns without an identity number", "ATTLOG",
      unit_string("1002\t2026-10-03 06:17:00\t1\t15\t\t255\t0\t0\t0\n"),
      1,
      "punch pin='1002' local_time=2026-10-03T06:17:00 status=1 verify=15 ext"
      "ra='0|0'\n",
      unit_no_context },

    { "attlog: 9 columns, record type unreadable", "ATTLOG",
      unit_string("1452\t2015-07-30 15:16:28\t0\t1\t0\t0\t0\t2102181990010100"
                  "00\tx\n"),
      1,
      "punch pin='1452' local_time=2015-07-30T15:16:28 status=0 verify=1 work"
      "_code='0' id_number='210218199001010000' extra='210218199001010000|x'\n",
      unit_no_context },

    { "attlog: 10 columns", "ATTLOG",
      unit_string("2\t2026-07-20 16:33:44\t255\t15\t0\t0\t0\t0\t0\t0\n"),
      1,
      "punch pin='2' local_time=2026-07-20T16:33:44 status=255 verify=15 work"
      "_code='0' mask=0 temperature='0' extra='0|0|0'\n",
      unit_no_context },

    { "attlog: 10 columns: mask and temperature, trailing TAB", "ATTLOG",
      unit_string("2\t2026-07-20 16:33:44\t255\t15\t0\t0\t0\t1\t36.5\t97.7\t"
                  "\n"),
      1,
      "punch pin='2' local_time=2026-07-20T16:33:44 status=255 verify=15 work"
      "_code='0' mask=1 temperature='36.5' extra='1|36.5|97.7'\n",
      unit_no_context },

    { "attlog: 12 columns", "ATTLOG",
      unit_string("2\t2026-07-20 16:33:44\t255\t15\t0\t0\t0\t1\t36.5\t97.7\t+"
                  "28800\teyJncHMiOjF9\n"),
      1,
      "punch pin='2' local_time=2026-07-20T16:33:44 status=255 verify=15 work"
      "_code='0' mask=1 temperature='36.5' extra='1|36.5|97.7|+28800|eyJncHMi"
      "OjF9' utc_offset=28800\n",
      unit_no_context },

    { "attlog: 11 columns, and what is no offset", "ATTLOG",
      unit_string("2\t2026-07-20 16:33:44\t0\t1\t0\t0\t0\t0\t0\t0\t-12600\n"
                  "2\t2026-07-20 16:33:44\t0\t1\t0\t0\t0\t0\t0\t0\t28800\n"
                  "2\t2026-07-20 16:33:44\t0\t1\t0\t0\t0\t0\t0\t0\t+1000\n"
                  "2\t2026-07-20 16:33:44\t0\t1\t0\t0\t0\t0\t0\t0\t+90000\n"),
      4,
      "punch pin='2' local_time=2026-07-20T16:33:44 status=0 verify=1 work_co"
      "de='0' mask=0 temperature='0' extra='0|0|0|-12600' utc_offset=-12600\n"
      "punch pin='2' local_time=2026-07-20T16:33:44 status=0 verify=1 work_co"
      "de='0' mask=0 temperature='0' extra='0|0|0|28800'\n"
      "punch pin='2' local_time=2026-07-20T16:33:44 status=0 verify=1 work_co"
      "de='0' mask=0 temperature='0' extra='0|0|0|+1000'\n"
      "punch pin='2' local_time=2026-07-20T16:33:44 status=0 verify=1 work_co"
      "de='0' mask=0 temperature='0' extra='0|0|0|+90000'\n",
      unit_no_context },

    { "attlog: 10 columns, unreadable extras", "ATTLOG",
      unit_string("2\t2026-07-20 16:33:44\t255\t15\t0\t0\t0\tyes\t36,5\t0\n"),
      1,
      "punch pin='2' local_time=2026-07-20T16:33:44 status=255 verify=15 work"
      "_code='0' extra='yes|36,5|0'\n",
      unit_no_context },

    { "attlog: sdk 3.2.0, 2.4.2: 16 columns", "ATTLOG",
      unit_string("982\t2016-02-25 12:08:21\t1\t0\t9001\t0\t0\t1\t2\t3\t4\t5"
                  "\t6\t1.0\t2.0\t3.0\n"),
      1,
      "punch pin='982' local_time=2016-02-25T12:08:21 status=1 verify=0 work_"
      "code='9001' job_codes='1|2|3|4|5|6' tip_codes='1.0|2.0|3.0' extra='1|2"
      "|3|4|5|6|1.0|2.0|3.0'\n",
      unit_no_context },

    { "attlog: 16 columns, the last one empty", "ATTLOG",
      unit_string("982\t2016-02-25 12:08:21\t1\t0\t9001\t0\t0\t1\t2\t3\t4\t5"
                  "\t6\t1.0\t2.0\t\n"),
      1,
      "punch pin='982' local_time=2016-02-25T12:08:21 status=1 verify=0 work_"
      "code='9001' job_codes='1|2|3|4|5|6' tip_codes='1.0|2.0|' extra='1|2|3|"
      "4|5|6|1.0|2.0'\n",
      unit_no_context },

    { "attlog: 16 columns, no codes", "ATTLOG",
      unit_string("982\t2016-02-25 12:08:21\t1\t0\t\t\t\t\t\t\t\t\t\t\t\t\n"),
      1,
      "punch pin='982' local_time=2016-02-25T12:08:21 status=1 verify=0 job_c"
      "odes='|||||' tip_codes='||' extra='|||||||'\n",
      unit_no_context },

    { "attlog: 15 columns", "ATTLOG",
      unit_string("982\t2016-02-25 12:08:21\t1\t0\t9001\t0\t0\t1\t2\t3\t4\t5"
                  "\t6\t1.0\t2.0\n"),
      1,
      "punch pin='982' local_time=2016-02-25T12:08:21 status=1 verify=0 work_"
      "code='9001' extra='1|2|3|4|5|6|1.0|2.0'\n",
      unit_no_context },

    { "attlog: 17 columns", "ATTLOG",
      unit_string("982\t2016-02-25 13:18:22\t1\t0\t9001\t0\t0\t1\t2\t3\t4\t5"
                  "\t6\t1.0\t2.0\t3.0\t4.0\n"),
      1,
      "punch pin='982' local_time=2016-02-25T13:18:22 status=1 verify=0 work_"
      "code='9001' job_codes='1|2|3|4|5|6' tip_codes='1.0|2.0|3.0' extra='1|2"
      "|3|4|5|6|1.0|2.0|3.0|4.0'\n",
      unit_no_context },

    { "attlog: 30 columns", "ATTLOG",
      unit_string("982\t2016-02-25 13:18:22\t1\t0\t9001\t0\t0\t0\t1\t2\t3\t4"
                  "\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16\t17\t18\t19\t2"
                  "0\t21\t22\n"),
      1,
      "punch pin='982' local_time=2016-02-25T13:18:22 status=1 verify=0 work_"
      "code='9001' extra='0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|2"
      "0|21|22'\n",
      unit_no_context },

    { "attlog: 8 columns, the last empty", "ATTLOG",
      unit_string("1\t2026-07-15 09:00:00\t0\t1\t0\t0\t0\t\t\n"),
      1,
      "punch pin='1' local_time=2026-07-15T09:00:00 status=0 verify=1 work_co"
      "de='0'\n",
      unit_no_context },

    { "attlog: keyed", "ATTLOG",
      unit_string("PIN=1001\tDateTime=2026-08-01 10:16:58\tVerified=1\tStatus"
                  "=0\n"),
      1,
      "punch pin='1001' local_time=2026-08-01T10:16:58 status=0 verify=1\n",
      unit_no_context },

    { "attlog: keyed, unknown keys", "ATTLOG",
      unit_string("PIN=1001\tGPS=1,2\tDateTime=2026-08-01 10:16:58\tx\tFoo=\n"),
      1,
      "punch pin='1001' local_time=2026-08-01T10:16:58 status=-1 verify=-1 ex"
      "tra='GPS=1,2|x|Foo='\n",
      unit_no_context },

    { "attlog: keyed, any order and case", "ATTLOG",
      unit_string("status=1\tVERIFIED=15\tdatetime=2026-08-01 10:16:58\tWorkC"
                  "ode=7\tpin=1001\n"),
      1,
      "punch pin='1001' local_time=2026-08-01T10:16:58 status=1 verify=15 wor"
      "k_code='7'\n",
      unit_no_context },

    { "attlog: keyed, spaces", "ATTLOG",
      unit_string("PIN=1001 DateTime=2026-08-01 10:16:58 Verified=1 Status=0"
                  "\n"),
      1,
      "punch pin='1001' local_time=2026-08-01T10:16:58 status=0 verify=1\n",
      unit_no_context },

    { "attlog: keyed, no time", "ATTLOG",
      unit_string("PIN=1001\tVerified=1\n"),
      1,
      "rejected (local_time is empty): PIN=1001|Verified=1\n",
      unit_no_context },

    { "attlog: keyed, bad status", "ATTLOG",
      unit_string("PIN=1001\tDateTime=2026-08-01 10:16:58\tStatus=in\n"),
      1,
      "rejected (status is not a number): PIN=1001|DateTime=2026-08-01 10:16:"
      "58|Status=in\n",
      unit_no_context },

    { "attlog: spaces", "ATTLOG",
      unit_string("9  2026-09-22 10:00:00  0  1\n"),
      1,
      "punch pin='9' local_time=2026-09-22T10:00:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: spaces, more columns", "ATTLOG",
      unit_string(" 982 2008-02-25   12:08:21 1 0 9001 0 0 1 2 \n"),
      1,
      "punch pin='982' local_time=2008-02-25T12:08:21 status=1 verify=0 work_"
      "code='9001' extra='1|2'\n",
      unit_no_context },

    { "attlog: time with T", "ATTLOG",
      unit_string("9\t2026-09-22T10:00:00\t0\t1\n"),
      1,
      "punch pin='9' local_time=2026-09-22T10:00:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: mixed line ends", "ATTLOG",
      unit_string("1000\t2026-10-03 06:15:00\t0\t1\t0\t0\t0\r\n"
                  "1001\t2026-10-03 06:16:00\t0\t1\n"
                  "1002\t2026-10-03 06:17:00\t1\t15\t\t255\t0\t0\t0\r\n"),
      3,
      "punch pin='1000' local_time=2026-10-03T06:15:00 status=0 verify=1 work"
      "_code='0'\n"
      "punch pin='1001' local_time=2026-10-03T06:16:00 status=0 verify=1\n"
      "punch pin='1002' local_time=2026-10-03T06:17:00 status=1 verify=15 ext"
      "ra='0|0'\n",
      unit_no_context },

    { "attlog: blank lines", "ATTLOG",
      unit_string("\n"
                  "\r\n"
                  "\000\n"
                  " \t \n"
                  "\000\000\r\n"
                  "7\t2026-10-03 06:15:00\t0\t1\000\n"
                  "\n"),
      1,
      "punch pin='7' local_time=2026-10-03T06:15:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: empty", "ATTLOG",
      unit_string(""),
      0,
      "",
      unit_no_context },

    { "attlog: only blanks", "ATTLOG",
      unit_string("\n"
                  "\n"
                  " \n"),
      0,
      "",
      unit_no_context },

    { "attlog: poison", "ATTLOG",
      unit_string("7\t2026-09-22 09:31:05\t99999\t15\t0\n"
                  "12\t2026-02-30 10:00:00\n"
                  "4\t2026-99-20 16:33:44\t255\t15\n"
                  "\t2026-09-22 09:00:00\t0\t1\n"
                  "9\tyesterday\t0\t1\n"
                  "8\t0000-00-00 00:00:00\t0\t1\n"),
      6,
      "punch pin='7' local_time=2026-09-22T09:31:05 status=99999 verify=15 wo"
      "rk_code='0'\n"
      "rejected (local_time is not a date and time): 12|2026-02-30 10:00:00\n"
      "rejected (local_time is not a date and time): 4|2026-99-20 16:33:44|25"
      "5|15\n"
      "rejected (pin is empty): |2026-09-22 09:00:00|0|1\n"
      "rejected (local_time is not a date and time): 9|yesterday|0|1\n"
      "rejected (local_time is not a date and time): 8|0000-00-00 00:00:00|0|"
      "1\n",
      unit_no_context },

    { "attlog: numbers", "ATTLOG",
      unit_string("1\t2026-09-22 09:00:00\t2147483647\t-2147483648\n"
                  "1\t2026-09-22 09:00:00\t2147483648\t1\n"
                  "1\t2026-09-22 09:00:00\t1\t-2147483649\n"
                  "1\t2026-09-22 09:00:00\t99999999999999999999999999\t1\n"
                  "1\t2026-09-22 09:00:00\t0x1\t1\n"
                  "1\t2026-09-22 09:00:00\t1.0\t1\n"
                  "1\t2026-09-22 09:00:00\t000000000000000000000000000001\t-"
                  "\n"),
      7,
      "punch pin='1' local_time=2026-09-22T09:00:00 status=2147483647 verify="
      "-2147483648\n"
      "rejected (status is out of range): 1|2026-09-22 09:00:00|2147483648|1\n"
      "rejected (verify is out of range): 1|2026-09-22 09:00:00|1|-2147483649"
      "\n"
      "rejected (status is out of range): 1|2026-09-22 09:00:00|9999999999999"
      "9999999999999|1\n"
      "rejected (status is not a number): 1|2026-09-22 09:00:00|0x1|1\n"
      "rejected (status is not a number): 1|2026-09-22 09:00:00|1.0|1\n"
      "rejected (verify is not a number): 1|2026-09-22 09:00:00|0000000000000"
      "00000000000000001|-\n",
      unit_no_context },

    { "attlog: NUL in the line", "ATTLOG",
      unit_string("7\000\t2026-10-03 06:15:00\t0\t1\n"
                  "8\t2026-10-03 06:15:00\t0\t1\n"),
      2,
      "rejected (NUL byte in the line): 7<00>|2026-10-03 06:15:00|0|1\n"
      "punch pin='8' local_time=2026-10-03T06:15:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: invalid UTF-8 in pin", "ATTLOG",
      unit_string("\303(\t2026-10-03 06:15:00\t0\t1\n"),
      1,
      "rejected (pin is invalid UTF-8): <c3>(|2026-10-03 06:15:00|0|1\n",
      unit_no_context },

    { "attlog: UTF-8 in pin", "ATTLOG",
      unit_string("\303\251\t2026-10-03 06:15:00\t0\t1\n"),
      1,
      "punch pin='<c3><a9>' local_time=2026-10-03T06:15:00 status=0 verify=1\n",
      unit_no_context },

    { "attlog: control character in pin", "ATTLOG",
      unit_string("7\rC:1:REBOOT\t2026-10-03 06:15:00\t0\t1\n"),
      1,
      "rejected (pin holds a control character): 7<0d>C:1:REBOOT|2026-10-03 0"
      "6:15:00|0|1\n",
      unit_no_context },

    { "attlog: long pin", "ATTLOG",
      unit_string("7777777777777777777777777777777777777777777777777777777777"
                  "7777777777777777777777777777777777777777777777777777777777"
                  "7777777777777777777777777777777777777777777777777777777777"
                  "7777777777777777777777777777777777777777777777777777777777"
                  "77777777777777777777777\t2026-10-03 06:15:00\n"
                  "7777777777777777777777777777777777777777777777777777777777"
                  "7777777777777777777777777777777777777777777777777777777777"
                  "7777777777777777777777777777777777777777777777777777777777"
                  "7777777777777777777777777777777777777777777777777777777777"
                  "777777777777777777777777\t2026-10-03 06:15:00\n"),
      2,
      "punch pin='77777777777777777777777777777777777777777777777777777777777"
      "7777777777777777777777777777777777777777777777777777777777777777777777"
      "7777777777777777777777777777777777777777777777777777777777777777777777"
      "77777777777777777777777777777777777777777777777777777777' local_time=2"
      "026-10-03T06:15:00 status=-1 verify=-1\n"
      "rejected (pin is too long): 777777777777777777777777777777777777777777"
      "7777777777777777777777777777777777777777777777777777777777777777777777"
      "7777777777777777777777777777777777777777777777777777777777777777777777"
      "7777777777777777777777777777777777777777777777777777777777777777777777"
      "7777|2026-10-03 06:15:00\n",
      unit_no_context },

    { "attlog: invalid UTF-8 in extra", "ATTLOG",
      unit_string("7\t2026-10-03 06:15:00\t0\t1\t0\t0\t0\t\377\t1\n"),
      1,
      "punch pin='7' local_time=2026-10-03T06:15:00 status=0 verify=1 work_co"
      "de='0' (extra is not valid text)\n",
      unit_no_context },

    { "attlog: invalid UTF-8 in work code, decoded", "ATTLOG",
      unit_string("7\t2026-10-03 06:15:00\t0\t1\t\326\320\n"),
      1,
      "punch pin='7' local_time=2026-10-03T06:15:00 status=0 verify=1 work_co"
      "de='<e4><b8><ad>'\n",
      { NGX_ICLOCK_GB18030,
        ngx_null_string,
        ngx_null_string } },

    { "attlog: time alone", "ATTLOG",
      unit_string("\t\n"
                  "-\n"),
      1,
      "rejected (local_time is empty): -\n",
      unit_no_context },

    { NULL, NULL, ngx_null_string, 0, NULL, unit_no_context }
};
