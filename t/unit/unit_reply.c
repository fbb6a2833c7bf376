
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* reply: the body of devicecmd */


#include "unit.h"


const unit_case_t  unit_reply_cases[] = {

    { "reply: push 2.4.1, section 13", ":replies",
      unit_string("ID=info8487&Return=0&CMD=DATA\n"
                  "ID=info8488&Return=0&CMD=DATA\n"
                  "ID=fp7464&Return=0&CMD=DATA\n"),
      3,
      "reply return_code=0 command='DATA'\n"
      "reply return_code=0 command='DATA'\n"
      "reply return_code=0 command='DATA'\n",
      unit_no_context },

    { "reply: one", ":replies",
      unit_string("ID=7&Return=0&CMD=DATA"),
      1,
      "reply command_id=7 return_code=0 command='DATA'\n",
      unit_no_context },

    { "reply: several, \\n and \\r\\n", ":replies",
      unit_string("ID=7&Return=0&CMD=DATA\r\n"
                  "ID=8&Return=-1004&CMD=CLEAR_LOG\n"
                  "\n"
                  "ID=9&Return=0&CMD=CHECK\r\n"
                  "\000"),
      3,
      "reply command_id=7 return_code=0 command='DATA'\n"
      "reply command_id=8 return_code=-1004 command='CLEAR_LOG'\n"
      "reply command_id=9 return_code=0 command='CHECK'\n",
      unit_no_context },

    { "reply: no command", ":replies",
      unit_string("ID=7&Return=0"),
      1,
      "reply command_id=7 return_code=0\n",
      unit_no_context },

    { "reply: serial number", ":replies",
      unit_string("ID=7&SN=AJE0000000133&Return=0&CMD=SET OPTION\n"),
      1,
      "reply command_id=7 return_code=0 command='SET OPTION'\n",
      unit_no_context },

    { "reply: verify sum", ":replies",
      unit_string("ID=7&Return=0&CMD=VERIFY SUM&StartTime=2015-07-29 00:00:00"
                  "&EndTime=2015-07-30 00:00:00&AttlogSum=12\n"
                  "ID=8&Return=0&CMD=DATA\n"),
      2,
      "reply command_id=7 return_code=0 command='VERIFY SUM' reply='StartTime"
      "=2015-07-29 00:00:00&EndTime=2015-07-30 00:00:00&AttlogSum=12'\n"
      "reply command_id=8 return_code=0 command='DATA'\n",
      unit_no_context },

    { "reply: info", ":replies",
      unit_string("ID=9&Return=0&CMD=INFO\n"
                  "~DeviceName=X\n"
                  "MAC=00:17:61:00:00:01\n"
                  "~OEMVendor=A&B, C=D\n"
                  "ID=10&Return=0&CMD=DATA\n"),
      5,
      "option name='~DeviceName' value='X'\n"
      "option name='MAC' value='00:17:61:00:00:01'\n"
      "option name='~OEMVendor' value='A&B, C=D'\n"
      "reply command_id=9 return_code=0 command='INFO' reply='~DeviceName=X<0"
      "a>MAC=00:17:61:00:00:01<0a>~OEMVendor=A&B, C=D'\n"
      "reply command_id=10 return_code=0 command='DATA'\n",
      unit_no_context },

    { "reply: info, with spaces at the end", ":replies",
      unit_string("ID=9&Return=0&CMD=INFO\r\n"
                  "~DeviceName=X\r\n"
                  "FPCount=\r\n"),
      3,
      "option name='~DeviceName' value='X'\n"
      "option name='FPCount' value=''\n"
      "reply command_id=9 return_code=0 command='INFO' reply='~DeviceName=X<0"
      "a>FPCount='\n",
      unit_no_context },

    { "reply: info: content", ":replies",
      unit_string("ID=9&Return=0&CMD=INFO&Content=~DeviceName=X & Y,FPCount=4"
                  "0\n"
                  "ID=10&Return=0&CMD=DATA"),
      4,
      "option name='~DeviceName' value='X & Y'\n"
      "option name='FPCount' value='40'\n"
      "reply command_id=9 return_code=0 command='INFO' reply='~DeviceName=X &"
      " Y,FPCount=40'\n"
      "reply command_id=10 return_code=0 command='DATA'\n",
      unit_no_context },

    { "reply: info, multi-line", ":replies",
      unit_string("ID=9\n"
                  "SN=1\n"
                  "CMD=INFO\n"
                  "Return=0\n"
                  "FPCount=40\n"),
      2,
      "option name='FPCount' value='40'\n"
      "reply command_id=9 return_code=0 command='INFO' reply='FPCount=40'\n",
      unit_no_context },

    { "reply: info: its options cannot answer for others", ":replies",
      unit_string("ID=9&Return=0&CMD=INFO\n"
                  "Foo=1&ID=5&Return=-1&CMD=X\n"
                  "Bar=2\n"),
      3,
      "option name='Foo' value='1&ID=5&Return=-1&CMD=X'\n"
      "option name='Bar' value='2'\n"
      "reply command_id=9 return_code=0 command='INFO' reply='Foo=1<0a>Bar=2'"
      "\n",
      unit_no_context },

    { "reply: shell", ":replies",
      unit_string("ID=66\n"
                  "SN=AJE0000000133\n"
                  "Return=0\n"
                  "CMD=Shell\n"
                  "FILENAME=shellout.txt\n"
                  "Content=a\n"
                  "ID=7&Return=0&CMD=DATA\n"
                  "\000\377\n"),
      1,
      "reply command_id=66 return_code=0 command='Shell' reply='a<0a>ID=7&Ret"
      "urn=0&CMD=DATA<0a><00><ff><0a>'\n",
      unit_no_context },

    { "reply: get file, order of keys", ":replies",
      unit_string("ID=67\n"
                  "SN=1\n"
                  "FILENAME=x.bin\n"
                  "CMD=GetFile\n"
                  "Return=12\n"
                  "Content=ID=1\n"
                  "Content=2\n"),
      1,
      "reply command_id=67 return_code=12 command='GetFile' reply='ID=1<0a>Co"
      "ntent=2<0a>'\n",
      unit_no_context },

    { "reply: get file, one line", ":replies",
      unit_string("ID=67&Return=12&CMD=GetFile&Content=a&b\n"
                  "c"),
      1,
      "reply command_id=67 return_code=12 command='GetFile' reply='a&b<0a>c'"
      "\n",
      unit_no_context },

    { "reply: get file, empty", ":replies",
      unit_string("ID=67\n"
                  "Return=0\n"
                  "CMD=GetFile\n"
                  "Content="),
      1,
      "reply command_id=67 return_code=0 command='GetFile'\n",
      unit_no_context },

    { "reply: shell failed", ":replies",
      unit_string("ID=67&Return=-1&CMD=Shell\n"
                  "ID=68&Return=0&CMD=DATA\n"),
      2,
      "reply command_id=67 return_code=-1 command='Shell'\n"
      "reply command_id=68 return_code=0 command='DATA'\n",
      unit_no_context },

    { "reply: mixed", ":replies",
      unit_string("ID=1&Return=0&CMD=DATA\r\n"
                  "ID=2\n"
                  "Return=0\n"
                  "CMD=CHECK\n"
                  "ID=3&Return=0&CMD=DATA\n"
                  "ID=66\n"
                  "Return=0\n"
                  "CMD=Shell\n"
                  "Content=x"),
      4,
      "reply command_id=1 return_code=0 command='DATA'\n"
      "reply command_id=2 return_code=0 command='CHECK'\n"
      "reply command_id=3 return_code=0 command='DATA'\n"
      "reply command_id=66 return_code=0 command='Shell' reply='x'\n",
      unit_no_context },

    { "reply: content of others ends with the reply", ":replies",
      unit_string("ID=1&Return=0&CMD=DATA&Content=x\n"
                  "ID=2&Return=0&CMD=DATA\n"),
      2,
      "reply command_id=1 return_code=0 command='DATA' reply='x'\n"
      "reply command_id=2 return_code=0 command='DATA'\n",
      unit_no_context },

    { "reply: ids", ":replies",
      unit_string("ID=&Return=0\n"
                  "ID=123456789&Return=0\n"
                  "ID=1234567890&Return=0\n"
                  "ID=-1&Return=0\n"
                  "ID= 5 &Return=1\n"
                  "ID=0&Return=0\n"),
      6,
      "reply return_code=0\n"
      "reply command_id=123456789 return_code=0\n"
      "reply return_code=0\n"
      "reply return_code=0\n"
      "reply command_id=5 return_code=1\n"
      "reply command_id=0 return_code=0\n",
      unit_no_context },

    { "reply: return codes", ":replies",
      unit_string("ID=1&Return=x&CMD=A\n"
                  "ID=2&Return=99999999999&CMD=A\n"
                  "ID=3&Return=&CMD=A\n"
                  "ID=4&return=-30&cmd=a\n"),
      4,
      "reply command_id=1 command='A' (return_code is not a number)\n"
      "reply command_id=2 command='A' (return_code is out of range)\n"
      "reply command_id=3 command='A'\n"
      "reply command_id=4 return_code=-30 command='a'\n",
      unit_no_context },

    { "reply: twice", ":replies",
      unit_string("ID=1&ID=2&Return=3&Return=4&CMD=A&CMD=B\n"),
      1,
      "reply command_id=1 return_code=3 command='A'\n",
      unit_no_context },

    { "reply: garbage", ":replies",
      unit_string("hello\n"
                  "Return=0\n"
                  "ID=1&Return=0\n"
                  "world\n"),
      3,
      "rejected (not a command reply): hello\n"
      "rejected (not a command reply): Return=0\n"
      "reply command_id=1 return_code=0 reply='world'\n",
      unit_no_context },

    { "reply: command is not text", ":replies",
      unit_string("ID=1&Return=0&CMD=\377\n"),
      1,
      "reply command_id=1 return_code=0 (command is not valid text)\n",
      unit_no_context },

    { "reply: NUL", ":replies",
      unit_string("ID=1\000&Return=0&CMD=A\000B\n"),
      1,
      "reply return_code=0 (command is not valid text)\n",
      unit_no_context },

    { "reply: empty", ":replies",
      unit_string(""),
      0,
      "",
      unit_no_context },

    { NULL, NULL, ngx_null_string, 0, NULL, unit_no_context }
};
