
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* photo: the forms of ATTPHOTO */


#include "unit.h"


const unit_case_t  unit_photo_cases[] = {

    { "photo: push 2.4.1, 11.3", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=uploadphoto\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012-123.jpg' pin='123' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0><00><10>"
      "JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: in real time, not verified", "ATTPHOTO",
      unit_string("PIN=20150731103012.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=realupload\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012.jpg' taken_at=2015-0"
      "7-31T10:30:12 result=1 content='<ff><d8><ff><e0><00><10>JFIF<00><0a>|&"
      "PIN=9'\n",
      unit_no_context },

    { "photo: no extension", "ATTPHOTO",
      unit_string("PIN=20150731103012-123\n"
                  "SN=1\n"
                  "size=9512\n"
                  "CMD=realupload\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012-123' pin='123' taken"
      "_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0><00><10>JFIF"
      "<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: pin with a dash", "ATTPHOTO",
      unit_string("PIN=20150731103012-a-b.jpg\n"
                  "CMD=realupload\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012-a-b.jpg' pin='a-b' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0><00><10>"
      "JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: push 2.4.1, 11.8", "ATTPHOTO",
      unit_string("PIN=20160615093758-0-1457-210218199001010000.jpg\n"
                  "SN=1\n"
                  "size=9512\n"
                  "CMD=uploadphoto\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20160615093758-0-1457-2102181990010"
      "10000.jpg' pin='1457' taken_at=2016-06-15T09:37:58 result=0 id_number="
      "'210218199001010000' content='<ff><d8><ff><e0><00><10>JFIF<00><0a>|&PI"
      "N=9'\n",
      unit_no_context },

    { "photo: identity terminal, failed, no number", "ATTPHOTO",
      unit_string("PIN=20160615093758-4-1457-.jpg\n"
                  "SN=1\n"
                  "size=9512\n"
                  "CMD=uploadphoto\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20160615093758-4-1457-.jpg' pin='14"
      "57' taken_at=2016-06-15T09:37:58 result=4 content='<ff><d8><ff><e0><00"
      "><10>JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: one line", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg SN=1 size=9512 CMD=uploadphoto"
                  "\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012-123.jpg' pin='123' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0><00><10>"
      "JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: base64: picture", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=uploadphoto\n"
                  "picture=/9j/4A==\n"),
      1,
      "photo kind='attendance' file_name='20150731103012-123.jpg' pin='123' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0>'\n",
      unit_no_context },

    { "photo: base64: after the command", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=uploadphoto/9j/4A=="),
      1,
      "photo kind='attendance' file_name='20150731103012-123.jpg' pin='123' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0>'\n",
      unit_no_context },

    { "photo: base64: one line", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg SN=1 CMD=uploadphoto picture=/9"
                  "j/4A=="),
      1,
      "photo kind='attendance' file_name='20150731103012-123.jpg' pin='123' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0>'\n",
      unit_no_context },

    { "photo: base64: photo", "ATTPHOTO",
      unit_string("PIN=123\tSN=1\tsize=20480\tphoto=/9j/4A=="),
      1,
      "photo kind='attendance' file_name='123-4ff5a26f.jpg' pin='123' result="
      "0 content='<ff><d8><ff><e0>'\n",
      unit_no_context },

    { "photo: base64: photo, with a time", "ATTPHOTO",
      unit_string("PIN=123\tSN=1\tsize=20480\tphoto=/9j/4A=="),
      1,
      "photo kind='attendance' file_name='20260505174020-123.jpg' pin='123' t"
      "aken_at=2026-05-05T17:40:20 result=0 content='<ff><d8><ff><e0>'\n",
      { NGX_ICLOCK_UTF_8,
        ngx_null_string,
        unit_string("2026-05-05 17:40:20") } },

    { "photo: base64, broken into lines", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=uploadphoto\n"
                  "picture=/9j/4A\n"
                  "/9j/4A==\n"),
      1,
      "rejected (no known field): PIN=20150731103012-123.jpg<0a>SN=AJE0000000"
      "133<0a>size=9512<0a>CMD=uploadphoto<0a>picture=/9j/4A<0a>/9j/4A==<0a>"
      "\n",
      unit_no_context },

    { "photo: base64, bad", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=uploadphoto\n"
                  "picture=/9j/4"),
      1,
      "rejected (content is not base64): PIN=20150731103012-123.jpg<0a>SN=AJE"
      "0000000133<0a>size=9512<0a>CMD=uploadphoto<0a>picture=/9j/4\n",
      unit_no_context },

    { "photo: bare JPEG", "ATTPHOTO",
      unit_string("\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20260505174020-123.jpg' pin='123' t"
      "aken_at=2026-05-05T17:40:20 result=0 content='<ff><d8><ff><e0><00><10>"
      "JFIF<00><0a>|&PIN=9'\n",
      { NGX_ICLOCK_UTF_8,
        unit_string("123"),
        unit_string("2026-05-05T17:40:20") } },

    { "photo: bare JPEG, compact time", "ATTPHOTO",
      unit_string("\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20260505174020-123.jpg' pin='123' t"
      "aken_at=2026-05-05T17:40:20 result=0 content='<ff><d8><ff><e0><00><10>"
      "JFIF<00><0a>|&PIN=9'\n",
      { NGX_ICLOCK_UTF_8,
        unit_string("123"),
        unit_string("20260505174020") } },

    { "photo: bare JPEG, file name", "ATTPHOTO",
      unit_string("\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012-7.jpg' pin='7' taken"
      "_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0><00><10>JFIF"
      "<00><0a>|&PIN=9'\n",
      { NGX_ICLOCK_UTF_8,
        unit_string("20150731103012-7.jpg"),
        ngx_null_string } },

    { "photo: bare JPEG, no time", "ATTPHOTO",
      unit_string("\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='123-6f8e9a43.jpg' pin='123' result="
      "0 content='<ff><d8><ff><e0><00><10>JFIF<00><0a>|&PIN=9'\n",
      { NGX_ICLOCK_UTF_8,
        unit_string("123"),
        ngx_null_string } },

    { "photo: bare JPEG, no pin", "ATTPHOTO",
      unit_string("\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "rejected (pin is empty): <ff><d8><ff><e0><00><10>JFIF<00><0a>|&PIN=9\n",
      unit_no_context },

    { "photo: bare JPEG, bad pin", "ATTPHOTO",
      unit_string("\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "rejected (file_name is invalid UTF-8): <ff><d8><ff><e0><00><10>JFIF<00"
      "><0a>|&PIN=9\n",
      { NGX_ICLOCK_UTF_8,
        unit_string("\377"),
        ngx_null_string } },

    { "photo: JPEG without NUL", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=uploadphoto\n"
                  "\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012-123.jpg' pin='123' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0><00><10>"
      "JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: \\r\\n, unknown header", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\r\n"
                  "Stamp=9999\r\n"
                  "CMD=uploadphoto\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012-123.jpg' pin='123' t"
      "aken_at=2015-07-31T10:30:12 result=0 content='<ff><d8><ff><e0><00><10>"
      "JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: no content", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"
                  "CMD=uploadphoto\000"),
      1,
      "rejected (content is empty): PIN=20150731103012-123.jpg<0a>SN=AJE00000"
      "00133<0a>size=9512<0a>CMD=uploadphoto<00>\n",
      unit_no_context },

    { "photo: no content, no NUL", "ATTPHOTO",
      unit_string("PIN=20150731103012-123.jpg\n"
                  "SN=AJE0000000133\n"
                  "size=9512\n"),
      1,
      "rejected (content is empty): PIN=20150731103012-123.jpg<0a>SN=AJE00000"
      "00133<0a>size=9512<0a>\n",
      unit_no_context },

    { "photo: bad time in the name", "ATTPHOTO",
      unit_string("PIN=20159931103012-123.jpg\n"
                  "CMD=uploadphoto\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20159931103012-123.jpg' pin='123' r"
      "esult=0 content='<ff><d8><ff><e0><00><10>JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: no dash after the time", "ATTPHOTO",
      unit_string("PIN=20150731103012\323\234-b.jpg\n"
                  "CMD=uploadphoto\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "photo kind='attendance' file_name='20150731103012<d3><9c>-b-6f8e9a43.j"
      "pg' pin='20150731103012<d3><9c>-b' result=0 content='<ff><d8><ff><e0><"
      "00><10>JFIF<00><0a>|&PIN=9'\n",
      unit_no_context },

    { "photo: no name", "ATTPHOTO",
      unit_string("SN=1\n"
                  "CMD=uploadphoto\000\377\330\377\340\000\020JFIF\000\n"
                  "\t&PIN=9"),
      1,
      "rejected (pin is empty): SN=1<0a>CMD=uploadphoto<00><ff><d8><ff><e0><0"
      "0><10>JFIF<00><0a>|&PIN=9\n",
      unit_no_context },

    { "photo: garbage", "ATTPHOTO",
      unit_string("hello\n"
                  "world"),
      1,
      "rejected (no known field): hello<0a>world\n",
      unit_no_context },

    { "photo: empty", "ATTPHOTO",
      unit_string(""),
      0,
      "",
      unit_no_context },

    { NULL, NULL, ngx_null_string, 0, NULL, unit_no_context }
};
