
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* operlog: operations and users */


#include "unit.h"


const unit_case_t  unit_operlog_cases[] = {

    { "operlog: push 2.4.1, 11.4", "OPERLOG",
      unit_string("OPLOG 4\t14\t2015-07-30 10:22:34\t0\t0\t0\t0\n"),
      1,
      "operation local_time=2015-07-30T10:22:34 code=4 operator='14' object1="
      "'0' object2='0' object3='0' object4='0'\n",
      unit_no_context },

    { "operlog: operation: text as object", "OPERLOG",
      unit_string("OPLOG 5\t0\t2026-06-23 13:20:44\tDHCP\t0\t0\t0\n"),
      1,
      "operation local_time=2026-06-23T13:20:44 code=5 operator='0' object1='"
      "DHCP' object2='0' object3='0' object4='0'\n",
      unit_no_context },

    { "operlog: operation: last column empty, or missing", "OPERLOG",
      unit_string("OPLOG 5\t0\t2026-06-23 13:20:44\tDHCP\t0\t0\t\n"
                  "oplog 126\t\t2026-06-23 13:20:44\tDHCP\n"),
      2,
      "operation local_time=2026-06-23T13:20:44 code=5 operator='0' object1='"
      "DHCP' object2='0' object3='0' object4=''\n"
      "operation local_time=2026-06-23T13:20:44 code=126 operator='' object1="
      "'DHCP' object2='' object3='' object4=''\n",
      unit_no_context },

    { "operlog: operation: spaces", "OPERLOG",
      unit_string("OPLOG 4 14 2015-07-30 10:22:34 0 0 0 0\n"),
      1,
      "operation local_time=2015-07-30T10:22:34 code=4 operator='14' object1="
      "'0' object2='0' object3='0' object4='0'\n",
      unit_no_context },

    { "operlog: operation: no space", "OPERLOG",
      unit_string("OPLOG4\t14\t2015-07-30 10:22:34\t0\t0\t0\t0\n"),
      1,
      "operation local_time=2015-07-30T10:22:34 code=4 operator='14' object1="
      "'0' object2='0' object3='0' object4='0'\n",
      unit_no_context },

    { "operlog: operation: poison", "OPERLOG",
      unit_string("OPLOG x\t14\t2015-07-30 10:22:34\n"
                  "OPLOG 4\t14\t2015-02-29 10:22:34\t0\n"
                  "OPLOG\n"
                  "OPLOG 4\t14\n"),
      4,
      "rejected (code is not a number): OPLOG x|14|2015-07-30 10:22:34\n"
      "rejected (local_time is not a date and time): OPLOG 4|14|2015-02-29 10"
      ":22:34|0\n"
      "rejected (code is empty): OPLOG\n"
      "rejected (local_time is empty): OPLOG 4|14\n",
      unit_no_context },

    { "operlog: operation: object is not UTF-8", "OPERLOG",
      unit_string("OPLOG 5\t0\t2026-06-23 13:20:44\t\377\376\t0\t0\t0\n"),
      1,
      "operation local_time=2026-06-23T13:20:44 code=5 operator='0' object1='"
      "' object2='0' object3='0' object4='0' (object1 is not valid text)\n",
      unit_no_context },

    { "operlog: operation: object is too long", "OPERLOG",
      unit_string("OPLOG 5\t0\t2026-06-23 13:20:44\txxxxxxxxxxxxxxxxxxxxxxxxx"
                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "\t0\t0\t0\n"),
      1,
      "operation local_time=2026-06-23T13:20:44 code=5 operator='0' object1='"
      "' object2='0' object3='0' object4='0' (object1 is too long)\n",
      unit_no_context },

    { "operlog: operation: more columns", "OPERLOG",
      unit_string("OPLOG 5\t0\t2026-06-23 13:20:44\t1\t1\t1\t1\t1\t1\t1\t1\t1"
                  "\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1"
                  "\t1\t1\n"),
      1,
      "operation local_time=2026-06-23T13:20:44 code=5 operator='0' object1='"
      "1' object2='1' object3='1' object4='1'\n",
      unit_no_context },

    { "operlog: push 2.4.1, 11.5", "OPERLOG",
      unit_string("USER PIN=36234\tName=36234\tPri=0\tPasswd=\tCard=133440\tG"
                  "rp=1\tTZ=0001000000000000\n"
                  "USER PIN=36235\tName=36235\tPri=0\tPasswd=\tCard=133441\tG"
                  "rp=1\tTZ=0001000000000000"),
      2,
      "user pin='36234' name='36234' privilege=0 password='' card='133440' ac"
      "cess_group=1 time_zone='0001000000000000'\n"
      "user pin='36235' name='36235' privilege=0 password='' card='133441' ac"
      "cess_group=1 time_zone='0001000000000000'\n",
      unit_no_context },

    { "operlog: user, all keys", "OPERLOG",
      unit_string("USER PIN=5\tName=Y\tPri=0\tPasswd=1\tCard=\tGrp=1\tTZ=0000"
                  "000100000000\tVerify=-1\tViceCard=\tStartDatetime=0\tEndDa"
                  "tetime=0\n"),
      1,
      "user pin='5' name='Y' privilege=0 password='1' card='' access_group=1 "
      "time_zone='0000000100000000' verify=-1 vice_card='' starts_at=-infinity"
      " ends_at=infinity\n",
      unit_no_context },

    { "operlog: user: times", "OPERLOG",
      unit_string("USER PIN=5\tStartDatetime=2026-01-01 00:00:00\tEndDatetime"
                  "=2026-12-31T23:59:59\n"),
      1,
      "user pin='5' starts_at=2026-01-01T00:00:00 ends_at=2026-12-31T23:59:59"
      "\n",
      unit_no_context },

    { "operlog: user: times as numbers", "OPERLOG",
      unit_string("USER PIN=1\tStartDatetime=20260101\tEndDatetime=20261231\n"
                  "USER PIN=2\tStartDatetime=20260101083000\tEndDatetime=000"
                  "\n"
                  "USER PIN=3\tStartDatetime=835660800\tEndDatetime=867801599"
                  "\n"
                  "USER PIN=4\tStartDatetime=20260230\tEndDatetime=99999999"
                  "9999999\n"
                  "USER PIN=5\tStartDatetime=-1\tEndDatetime=1\n"),
      5,
      "user pin='1' starts_at=2026-01-01T00:00:00 ends_at=2026-12-31T23:59:59"
      "\n"
      "user pin='2' starts_at=2026-01-01T08:30:00 ends_at=infinity\n"
      "user pin='3' starts_at=2026-01-01T00:00:00 ends_at=2026-12-31T23:59:59"
      "\n"
      "user pin='4' (starts_at is not a date and time)\n"
      "user pin='5' ends_at=2000-01-01T00:00:01 (starts_at is not a date and "
      "time)\n",
      unit_no_context },

    { "operlog: sdk 3.2.0, 2.1", "OPERLOG",
      unit_string("USER PIN=982\tName=Richard\tPasswd=9822\tGrp=1\tTZ=\n"
                  "USER PIN=982\tName=Richard\tPasswd=9822\tCard=13375590\tGr"
                  "p=1\tTZ=\n"),
      2,
      "user pin='982' name='Richard' password='9822' access_group=1 time_zone"
      "=''\n"
      "user pin='982' name='Richard' password='9822' card='13375590' access_g"
      "roup=1 time_zone=''\n",
      unit_no_context },

    { "operlog: user: spaces", "OPERLOG",
      unit_string("USER PIN=21 Name=Ali Pri=0\n"
                  "USER PIN=21 Name=Ali  Ben Omar Pri=0 Passwd= Card=7\n"
                  "USER PIN=982 Name=Richard Passwd=9822 Card=13375590 Grp=1 "
                  "TZ=\n"),
      3,
      "user pin='21' name='Ali' privilege=0\n"
      "user pin='21' name='Ali  Ben Omar' privilege=0 password='' card='7'\n"
      "user pin='982' name='Richard' password='9822' card='13375590' access_g"
      "roup=1 time_zone=''\n",
      unit_no_context },

    { "operlog: user: null and privilege", "OPERLOG",
      unit_string("user pin=7\tNAME=null\tPrivilege=14\tpasswd=null\tCard=nul"
                  "l\tVerify=null\n"),
      1,
      "user pin='7' privilege=14\n",
      unit_no_context },

    { "operlog: user: cards", "OPERLOG",
      unit_string("USER PIN=1\tCard=[15CD5B07]\n"
                  "USER PIN=1\tCard=[000]\n"
                  "USER PIN=1\tCard=0\n"
                  "USER PIN=1\tCard=[0000000000]\n"
                  "USER PIN=1\tCard=123456789\n"
                  "USER PIN=1\tCard=[xyz1]\n"
                  "USER PIN=1\tCard=[ffffffffffffffff]\tViceCard=[0100]\n"
                  "USER PIN=1\tCard=[ffffffffffffffff00]\n"
                  "USER PIN=1\tCard=[]\n"),
      9,
      "user pin='1' card='123456789'\n"
      "user pin='1' card=''\n"
      "user pin='1' card=''\n"
      "user pin='1' card=''\n"
      "user pin='1' card='123456789'\n"
      "user pin='1' card='[xyz1]'\n"
      "user pin='1' card='18446744073709551615' vice_card='1'\n"
      "user pin='1' card='[ffffffffffffffff00]'\n"
      "user pin='1' card=''\n",
      unit_no_context },

    { "operlog: user: unknown keys", "OPERLOG",
      unit_string("USER PIN=1\tFoo=2\tName=A\tbar\t=3\n"),
      1,
      "user pin='1' name='A'\n",
      unit_no_context },

    { "operlog: user: no pin", "OPERLOG",
      unit_string("USER PIN=\tName=A\n"
                  "USER Name=A\n"
                  "USER PIN=null\tName=A\n"
                  "USER\n"
                  "USER \n"
                  "USER foo\n"),
      6,
      "rejected (pin is empty): USER PIN=|Name=A\n"
      "rejected (pin is empty): USER Name=A\n"
      "rejected (pin is empty): USER PIN=null|Name=A\n"
      "rejected (no known field): USER\n"
      "rejected (no known field): USER \n"
      "rejected (no known field): USER foo\n",
      unit_no_context },

    { "operlog: user: numbers unreadable", "OPERLOG",
      unit_string("USER PIN=1\tName=A\tPri=x\tGrp=99999999999\tVerify=\n"),
      1,
      "user pin='1' name='A' (privilege is not a number)\n",
      unit_no_context },

    { "operlog: user: name in GB2312", "OPERLOG",
      unit_string("USER PIN=1\tName=\326\320\316\304\tPri=0\n"),
      1,
      "user pin='1' name='<e4><b8><ad><e6><96><87>' privilege=0\n",
      { NGX_ICLOCK_GB18030,
        ngx_null_string,
        ngx_null_string } },

    { "operlog: user: name is not text", "OPERLOG",
      unit_string("USER PIN=1\tName=\326\320\316\304\tPri=0\n"),
      1,
      "user pin='1' privilege=0 (name is not valid text)\n",
      unit_no_context },

    { "operlog: user: name is not text in the encoding either", "OPERLOG",
      unit_string("USER PIN=1\tName=\377\377\tPri=0\n"),
      1,
      "user pin='1' privilege=0 (name is not valid text)\n",
      { NGX_ICLOCK_GB18030,
        ngx_null_string,
        ngx_null_string } },

    { "operlog: user: repeated key, trailing TABs", "OPERLOG",
      unit_string("USER PIN=1\tName=A\tName=B\t\t\t\n"),
      1,
      "user pin='1' name='A'\n",
      unit_no_context },

    { NULL, NULL, ngx_null_string, 0, NULL, unit_no_context }
};
