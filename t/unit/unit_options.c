
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* options: and the INFO of a poll */


#include "unit.h"


const unit_case_t  unit_option_cases[] = {

    { "options: table=options", "options",
      unit_string("~DeviceName=X,MAC=00:17:61:00:00:01,~OEMVendor=ZKTECO CO.,"
                  " LTD.,FWVersion=Ver 8.0,~MaxAttLogCount=20,RegDeviceType=,"
                  "VideoTID="),
      7,
      "option name='~DeviceName' value='X'\n"
      "option name='MAC' value='00:17:61:00:00:01'\n"
      "option name='~OEMVendor' value='ZKTECO CO., LTD.'\n"
      "option name='FWVersion' value='Ver 8.0'\n"
      "option name='~MaxAttLogCount' value='20'\n"
      "option name='RegDeviceType' value=''\n"
      "option name='VideoTID' value=''\n",
      unit_no_context },

    { "options: push 2.4.1, section 8", "options",
      unit_string("FingerFunOn=1,FaceFunOn=1"),
      2,
      "option name='FingerFunOn' value='1'\n"
      "option name='FaceFunOn' value='1'\n",
      unit_no_context },

    { "options: options: colons", "options",
      unit_string("MultiBioDataSupport=0:1:1:0:0,VerifyValueMap=129:1,130:3,1"
                  "31:0\r\n"),
      2,
      "option name='MultiBioDataSupport' value='0:1:1:0:0'\n"
      "option name='VerifyValueMap' value='129:1,130:3,131:0'\n",
      unit_no_context },

    { "options: options: garbage", "options",
      unit_string("foo,A=1,2B=3,C_1=4,=5,~=6"),
      3,
      "rejected (not an option): foo\n"
      "option name='A' value='1,2B=3'\n"
      "option name='C_1' value='4,=5,~=6'\n",
      unit_no_context },

    { "options: options: not text", "options",
      unit_string("A=\377,B=1"),
      2,
      "rejected (value is not valid text): A=<ff>\n"
      "option name='B' value='1'\n",
      unit_no_context },

    { "options: options: NUL", "options",
      unit_string("A=1\000,B=1\000"),
      2,
      "option name='A' value='1'\n"
      "option name='B' value='1'\n",
      unit_no_context },

    { "options: options: long name", "options",
      unit_string("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAA=1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=1"),
      2,
      "option name='AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' value='1'"
      "\n"
      "rejected (name is too long): AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAA=1\n",
      unit_no_context },

    { "options: options: empty", "options",
      unit_string(""),
      0,
      "",
      unit_no_context },

    { "options: push 2.4.1, section 9", ":info",
      unit_string("Ver 2.0.12-20150625,0,0,0,192.168.16.27,10,7,15,0,111"),
      10,
      "option name='FWVersion' value='2.0.12-20150625'\n"
      "option name='UserCount' value='0'\n"
      "option name='FPCount' value='0'\n"
      "option name='TransactionCount' value='0'\n"
      "option name='IPAddress' value='192.168.16.27'\n"
      "option name='FPVersion' value='10'\n"
      "option name='FaceVersion' value='7'\n"
      "option name='FaceMinCount' value='15'\n"
      "option name='FaceCount' value='0'\n"
      "option name='FunctionFlags' value='111'\n",
      unit_no_context },

    { "options: sdk 3.2.0", ":info",
      unit_string("Ver 6.8.0(build640), 2, 0, 0, 192.168.1.201, 10, -1, -12, "
                  "101"),
      9,
      "option name='FWVersion' value='6.8.0(build640)'\n"
      "option name='UserCount' value='2'\n"
      "option name='FPCount' value='0'\n"
      "option name='TransactionCount' value='0'\n"
      "option name='IPAddress' value='192.168.1.201'\n"
      "option name='FPVersion' value='10'\n"
      "option name='FaceVersion' value='-1'\n"
      "option name='FaceCount' value='-12'\n"
      "option name='FunctionFlags' value='101'\n",
      unit_no_context },

    { "options: 4 values", ":info",
      unit_string("ZMM220_TFT,5,6,7"),
      4,
      "option name='FWVersion' value='ZMM220_TFT'\n"
      "option name='UserCount' value='5'\n"
      "option name='FPCount' value='6'\n"
      "option name='TransactionCount' value='7'\n",
      unit_no_context },

    { "options: 13 values", ":info",
      unit_string("Ver 8.0,1,2,3,10.0.0.1,10,7,15,4,11111,a,b,c"),
      13,
      "option name='FWVersion' value='8.0'\n"
      "option name='UserCount' value='1'\n"
      "option name='FPCount' value='2'\n"
      "option name='TransactionCount' value='3'\n"
      "option name='IPAddress' value='10.0.0.1'\n"
      "option name='FPVersion' value='10'\n"
      "option name='FaceVersion' value='7'\n"
      "option name='FaceMinCount' value='15'\n"
      "option name='FaceCount' value='4'\n"
      "option name='FunctionFlags' value='11111'\n"
      "option name='Info11' value='a'\n"
      "option name='Info12' value='b'\n"
      "option name='Info13' value='c'\n",
      unit_no_context },

    { "options: more values, some empty", ":info",
      unit_string("ver ,,2,3,,10,7,15,4,11111,a,b,c,d,e"),
      10,
      "option name='FPCount' value='2'\n"
      "option name='TransactionCount' value='3'\n"
      "option name='FPVersion' value='10'\n"
      "option name='FaceVersion' value='7'\n"
      "option name='FaceMinCount' value='15'\n"
      "option name='FaceCount' value='4'\n"
      "option name='FunctionFlags' value='11111'\n"
      "option name='Info11' value='a'\n"
      "option name='Info12' value='b'\n"
      "option name='Info13' value='c'\n",
      unit_no_context },

    { "options: info: not text", ":info",
      unit_string("\377,1"),
      2,
      "rejected (value is not valid text): <ff>\n"
      "option name='UserCount' value='1'\n",
      unit_no_context },

    { "options: info: empty", ":info",
      unit_string(""),
      0,
      "",
      unit_no_context },

    { NULL, NULL, ngx_null_string, 0, NULL, unit_no_context }
};
