
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* records: templates, photos and others, and tables of their own */


#include "unit.h"


const unit_case_t  unit_record_cases[] = {

    { "records: sdk 3.2.0, 2.4.3: fingerprint", "OPERLOG",
      unit_string("FP PIN=982\tFID=1\tSize=680\tValid=1\tTMP=ocoRgZPRN8EwJNQx"
                  "QTY=\n"),
      1,
      "template pin='982' type=1 no=1 index=0 major_version=9 minor_version=0"
      " format=0 valid=1 duress=0 source='FP' data='<a1><ca><11><81><93><d1>7"
      "<c1>0$<d4>1A6'\n",
      unit_no_context },

    { "records: fingerprint, algorithm 10, no space", "OPERLOG",
      unit_string("FPPIN=12\tFID=0\tSize=1124\tValid=1\tTMP=SghTUzIx\n"),
      1,
      "template pin='12' type=1 no=0 index=0 major_version=10 minor_version=0"
      " format=0 valid=1 duress=0 source='FP' data='J<08>SS21'\n",
      unit_no_context },

    { "records: fingerprint: padding is missing", "OPERLOG",
      unit_string("FP PIN=12\tFID=0\tTMP=QUI\n"
                  "FP PIN=12\tFID=0\tTMP=QQ\n"
                  "FP PIN=12\tFID=0\tTMP=QQ=\n"),
      3,
      "template pin='12' type=1 no=0 index=0 major_version=10 minor_version=0"
      " format=0 valid=1 duress=0 source='FP' data='AB'\n"
      "template pin='12' type=1 no=0 index=0 major_version=10 minor_version=0"
      " format=0 valid=1 duress=0 source='FP' data='A'\n"
      "template pin='12' type=1 no=0 index=0 major_version=10 minor_version=0"
      " format=0 valid=1 duress=0 source='FP' data='A'\n",
      unit_no_context },

    { "records: fingerprint: bad base64", "OPERLOG",
      unit_string("FP PIN=12\tFID=0\tTMP=Q\n"
                  "FP PIN=12\tFID=0\tTMP=QU I\n"
                  "FP PIN=12\tFID=0\tTMP=QU=I\n"
                  "FP PIN=12\tFID=0\tTMP=QUI=====\n"
                  "FP PIN=12\tFID=0\tTMP=!!!!\n"
                  "FP PIN=12\tFID=0\tTMP=\n"
                  "FP PIN=12\tFID=0\n"
                  "FP PIN=12\tFID=0\tTMP==\n"),
      8,
      "rejected (data is not base64): FP PIN=12|FID=0|TMP=Q\n"
      "rejected (data is not base64): FP PIN=12|FID=0|TMP=QU I\n"
      "rejected (data is not base64): FP PIN=12|FID=0|TMP=QU=I\n"
      "rejected (data is not base64): FP PIN=12|FID=0|TMP=QUI=====\n"
      "rejected (data is not base64): FP PIN=12|FID=0|TMP=!!!!\n"
      "rejected (data is empty): FP PIN=12|FID=0|TMP=\n"
      "rejected (data is empty): FP PIN=12|FID=0\n"
      "rejected (data is empty): FP PIN=12|FID=0|TMP==\n",
      unit_no_context },

    { "records: fingerprint: spaces", "OPERLOG",
      unit_string("FP PIN=982 FID=1 Size=680 Valid=1 TMP=ocoRgZPR\n"),
      1,
      "template pin='982' type=1 no=1 index=0 major_version=9 minor_version=0"
      " format=0 valid=1 duress=0 source='FP' data='<a1><ca><11><81><93><d1>'"
      "\n",
      unit_no_context },

    { "records: fingerprint: bad keys", "OPERLOG",
      unit_string("FP PIN=1\tFID=a\tTMP=QUJD\n"
                  "FP FID=1\tTMP=QUJD\n"
                  "FP PIN=1\tFID=1\tValid=x\tTMP=QUJD\n"),
      3,
      "rejected (no is not a number): FP PIN=1|FID=a|TMP=QUJD\n"
      "rejected (pin is empty): FP FID=1|TMP=QUJD\n"
      "template pin='1' type=1 no=1 index=0 major_version=10 minor_version=0 "
      "format=0 valid=1 duress=0 source='FP' data='ABC' (valid is not a numbe"
      "r)\n",
      unit_no_context },

    { "records: push 2.4.1, 11.10: face", "OPERLOG",
      unit_string("FACE PIN=306\tFID=2\tSIZE=1648\tVALID=1\tTMP=AAAAAAAAAAAA"
                  "\n"),
      1,
      "template pin='306' type=2 no=2 index=0 major_version=7 minor_version=0"
      " format=0 valid=1 duress=0 source='FACE' data='<00><00><00><00><00><00"
      "><00><00><00>'\n",
      unit_no_context },

    { "records: sdk 3.2.0: face without number", "OPERLOG",
      unit_string("FACE PIN=1002\tSize=3052\tValid=1\tTMP=SDFGVDRg\n"),
      1,
      "template pin='1002' type=2 no=0 index=0 major_version=7 minor_version="
      "0 format=0 valid=1 duress=0 source='FACE' data='H1FT4`'\n",
      unit_no_context },

    { "records: push 2.4.1, 11.11: finger vein", "OPERLOG",
      unit_string("FVEIN Pin=306\tFID=2\tIndex=1\tSize=1648\tValid=1\tTmp=AAA"
                  "AAAAA\n"),
      1,
      "template pin='306' type=7 no=2 index=1 major_version=3 minor_version=0"
      " format=0 valid=1 duress=0 source='FVEIN' data='<00><00><00><00><00><0"
      "0>'\n",
      unit_no_context },

    { "records: push 2.4.1, 11.12: unified template", "BIODATA",
      unit_string("BIODATA Pin=306\tNo=0\tIndex=2\tValid=1\tDuress=0\tType=8"
                  "\tMajorVer=1\tMinorVer=0\tFormat=0\tTmp=AAAAAAAA\n"),
      1,
      "template pin='306' type=8 no=0 index=2 major_version=1 minor_version=0"
      " format=0 valid=1 duress=0 source='BIODATA' data='<00><00><00><00><00>"
      "<00>'\n",
      unit_no_context },

    { "records: unified template in OPERLOG, no format", "OPERLOG",
      unit_string("BIODATA Pin=1\tNo=6\tIndex=0\tValid=1\tDuress=1\tType=1\tM"
                  "ajorVer=13\tMinorVer=3\tTmp=QUJD\n"),
      1,
      "template pin='1' type=1 no=6 index=0 major_version=13 minor_version=3 "
      "format=0 valid=1 duress=1 source='BIODATA' data='ABC'\n",
      unit_no_context },

    { "records: unified template without tag", "biodata",
      unit_string("Pin=1\tNo=6\tIndex=0\tType=9\tMajorVer=58\tTmp=QUJD\n"),
      1,
      "template pin='1' type=9 no=6 index=0 major_version=58 minor_version=0 "
      "format=0 valid=1 duress=0 source='BIODATA' data='ABC'\n",
      unit_no_context },

    { "records: push 2.4.1, 11.13: user photo", "OPERLOG",
      unit_string("USERPIC PIN=123\tFileName=123.jpg\tSize=10\tContent=/9j/4A"
                  "==\n"),
      1,
      "photo kind='user' file_name='123.jpg' pin='123' content='<ff><d8><ff><"
      "e0>'\n",
      unit_no_context },

    { "records: user photo without file name, other tables", "USERPIC",
      unit_string("USERPIC PIN=123\tSize=10\tContent=/9j/4A==\n"
                  "PIN=124\tSize=10\t Content=/9j/4A==\n"),
      2,
      "photo kind='user' file_name='123.jpg' pin='123' content='<ff><d8><ff><"
      "e0>'\n"
      "photo kind='user' file_name='124.jpg' pin='124' content='<ff><d8><ff><"
      "e0>'\n",
      unit_no_context },

    { "records: push 2.4.1, 11.15: comparison photo", "OPERLOG",
      unit_string("BIOPHOTO PIN=9\tFileName=9.jpg\tType=0\tSize=36908\tConten"
                  "t=/9j/\n"
                  "BIOPHOTO PIN=9\tNo=0\tIndex=1\tFileName=9.jpg\tType=9\tSiz"
                  "e=1\tContent=/9j/\n"),
      2,
      "photo kind='comparison' file_name='9.jpg' pin='9' type=0 content='<ff>"
      "<d8><ff>'\n"
      "photo kind='comparison' file_name='9.jpg' pin='9' type=9 content='<ff>"
      "<d8><ff>'\n",
      unit_no_context },

    { "records: photo: no content", "OPERLOG",
      unit_string("USERPIC PIN=123\tFileName=123.jpg\tSize=10\tContent=\n"
                  "BIOPHOTO PIN=1\n"
                  "BIOPHOTO PIN=1\tContent=&\n"
                  "BIOPHOTO Content=QUJD\n"),
      4,
      "rejected (content is empty): USERPIC PIN=123|FileName=123.jpg|Size=10|"
      "Content=\n"
      "rejected (content is empty): BIOPHOTO PIN=1\n"
      "rejected (content is not base64): BIOPHOTO PIN=1|Content=&\n"
      "rejected (pin is empty): BIOPHOTO Content=QUJD\n",
      unit_no_context },

    { "records: push 2.4.1, 11.14: data packet", "OPERLOG",
      unit_string("USER PIN=1\tName=\tPri=0\tPasswd=0\tCard=89776433\tGrp=1\t"
                  "TZ=0001000100000000\tVerify=-1\tViceCard=123456789\n"
                  "FP PIN=1\tFID=1\tSize=1336\tValid=1\tTMP=SqFTUzIx\n"
                  "USER PIN=2\tName=\tPri=0\tPasswd=0\tCard=89776433\tGrp=1\t"
                  "TZ=0001000100000000\tVerify=-1\tViceCard=123456789\n"),
      3,
      "user pin='1' name='' privilege=0 password='0' card='89776433' access_g"
      "roup=1 time_zone='0001000100000000' verify=-1 vice_card='123456789'\n"
      "template pin='1' type=1 no=1 index=0 major_version=10 minor_version=0 "
      "format=0 valid=1 duress=0 source='FP' data='J<a1>SS21'\n"
      "user pin='2' name='' privilege=0 password='0' card='89776433' access_g"
      "roup=1 time_zone='0001000100000000' verify=-1 vice_card='123456789'\n",
      unit_no_context },

    { "records: push 2.4.1, 11.6: identity card", "IDCARD",
      unit_string("IDCARD PIN=2\tSNNum=00000000460088000000\tIDNum=0000001991"
                  "12180000\tDNNum=\tName=Zhang San\tGender=1\tNation=1\tBirt"
                  "hday=19911218\tValidInfo=2017091520270915\tAddress=Village"
                  " 1\tAdditionalInfo=\tIssuer=Bureau\tPhoto=V0xm\tFPTemplate"
                  "1=QwGI\tFPTemplate2=QwGIEg==\tReserve=\tNotice=\n"),
      1,
      "identity_card pin='2' sn_number='00000000460088000000' id_number='0000"
      "00199112180000' dn_number='' name='Zhang San' gender=1 nation=1 birthd"
      "ay='19911218' valid_info='2017091520270915' address='Village 1' additi"
      "onal_info='' issuer='Bureau' photo='WLf' fp_template1='C<01><88>' fp_t"
      "emplate2='C<01><88><12>' reserve='' notice=''\n",
      unit_no_context },

    { "records: identity card: no number, bad photo", "IDCARD",
      unit_string("IDCARD PIN=2\tName=A\n"
                  "IDCARD IDNum=123456\tPhoto=!\tName=B\n"
                  "IDNum=123457\n"),
      3,
      "rejected (id_number is empty): IDCARD PIN=2|Name=A\n"
      "identity_card id_number='123456' name='B' (photo is not base64)\n"
      "identity_card id_number='123457'\n",
      unit_no_context },

    { "records: push 2.4.1, 11.16: error", "ERRORLOG",
      unit_string("ERRORLOG ErrCode=D01E0001\tErrMsg=\tDataOrigin=cmd\tCmdId="
                  "123\tAdditional=\n"),
      1,
      "device_error code='D01E0001' message='' origin='cmd' command_id='123' "
      "additional=''\n",
      unit_no_context },

    { "records: work code", "WORKCODE",
      unit_string("WORKCODE PIN=1\tCODE=7\tNAME=Assembly\n"
                  "PIN=2\tCode=8\n"
                  "WORKCODE PIN=1\n"),
      3,
      "work_code code='7' name='Assembly' pin='1'\n"
      "work_code code='8' pin='2'\n"
      "rejected (code is empty): WORKCODE PIN=1\n",
      unit_no_context },

    { "records: table USERINFO", "USERINFO",
      unit_string("PIN=11\tName=Asha\tPri=14\tPasswd=9999\tCard=123\tGrp=1\n"
                  "USERINFO PIN=12\tName=B\n"
                  "USER PIN=13\n"),
      3,
      "user pin='11' name='Asha' privilege=14 password='9999' card='123' acce"
      "ss_group=1\n"
      "user pin='12' name='B'\n"
      "user pin='13'\n",
      unit_no_context },

    { "records: legacy templates", "templatev10",
      unit_string("templatev10 size=1000\tuid=1\tpin=7\tfingerid=6\tvalid=1\t"
                  "template=QUJD\tresverd=\tendtag=\n"
                  "pin=7\tfingerid=6\tvalid=1\ttemplate=ocoR\n"),
      2,
      "template pin='7' type=1 no=6 index=0 major_version=10 minor_version=0 "
      "format=0 valid=1 duress=0 source='FP' data='ABC'\n"
      "template pin='7' type=1 no=6 index=0 major_version=9 minor_version=0 f"
      "ormat=0 valid=1 duress=0 source='FP' data='<a1><ca><11>'\n",
      unit_no_context },

    { "records: legacy faces", "facetmpv10",
      unit_string("facetmpv10 pin=7\tfaceid=6\tvalid=1\tface=QUJD\n"
                  "PIN=7\tFID=0\tTMP=QUJD\n"),
      2,
      "template pin='7' type=2 no=6 index=0 major_version=7 minor_version=0 f"
      "ormat=0 valid=1 duress=0 source='FACE' data='ABC'\n"
      "template pin='7' type=2 no=0 index=0 major_version=7 minor_version=0 f"
      "ormat=0 valid=1 duress=0 source='FACE' data='ABC'\n",
      unit_no_context },

    { "records: table FINGERTMP", "fingertmp",
      unit_string("PIN=7\tFID=0\tTMP=QUJD\n"
                  "FINGERTMP PIN=7\tFID=0\tTMP=QUJD\n"),
      2,
      "template pin='7' type=1 no=0 index=0 major_version=10 minor_version=0 "
      "format=0 valid=1 duress=0 source='FP' data='ABC'\n"
      "template pin='7' type=1 no=0 index=0 major_version=10 minor_version=0 "
      "format=0 valid=1 duress=0 source='FP' data='ABC'\n",
      unit_no_context },

    { "records: table FPTMP", "FPTMP",
      unit_string("FPTMP PIN=7\tFID=0\tTMP=QUJD\n"),
      1,
      "template pin='7' type=1 no=0 index=0 major_version=10 minor_version=0 "
      "format=0 valid=1 duress=0 source='FP' data='ABC'\n",
      unit_no_context },

    { "records: table FACETMP", "FACETMP",
      unit_string("FACETMP PIN=7\tFID=0\tTMP=QUJD\n"),
      1,
      "template pin='7' type=2 no=0 index=0 major_version=7 minor_version=0 f"
      "ormat=0 valid=1 duress=0 source='FACE' data='ABC'\n",
      unit_no_context },

    { "records: table FACE, FVEIN", "FACE",
      unit_string("PIN=7\tFID=0\tTMP=QUJD\n"),
      1,
      "template pin='7' type=2 no=0 index=0 major_version=7 minor_version=0 f"
      "ormat=0 valid=1 duress=0 source='FACE' data='ABC'\n",
      unit_no_context },

    { "records: table FVEIN", "FVEIN",
      unit_string("PIN=7\tFID=0\tTMP=QUJD\n"),
      1,
      "template pin='7' type=7 no=0 index=0 major_version=3 minor_version=0 f"
      "ormat=0 valid=1 duress=0 source='FVEIN' data='ABC'\n",
      unit_no_context },

    { "records: table BIOPHOTO", "BIOPHOTO",
      unit_string("PIN=7\tFileName=7.jpg\tContent=QUJD\n"),
      1,
      "photo kind='comparison' file_name='7.jpg' pin='7' content='ABC'\n",
      unit_no_context },

    { "records: unknown records", "OPERLOG",
      unit_string("PIN=11\tName=Asha\n"
                  "USERX PIN=1\n"
                  "FOO\n"
                  "USER\000 PIN=1\n"),
      4,
      "rejected (unknown record): PIN=11|Name=Asha\n"
      "rejected (unknown record): USERX PIN=1\n"
      "rejected (unknown record): FOO\n"
      "rejected (NUL byte in the line): USER<00> PIN=1\n",
      unit_no_context },

    { "records: mixed", "OPERLOG",
      unit_string("OPLOG 30\t0\t2026-06-23 13:20:44\t5\t0\t0\t0\r\n"
                  "USER PIN=5\tName=Y\n"
                  "\n"
                  "fp pin=5\tfid=6\ttmp=QUJD\n"),
      3,
      "operation local_time=2026-06-23T13:20:44 code=30 operator='0' object1="
      "'5' object2='0' object3='0' object4='0'\n"
      "user pin='5' name='Y'\n"
      "template pin='5' type=1 no=6 index=0 major_version=10 minor_version=0 "
      "format=0 valid=1 duress=0 source='FP' data='ABC'\n",
      unit_no_context },

    { "records: unknown table", "FOO",
      unit_string("whatever\tit is\n"
                  "\n"
                  "\377\n"),
      2,
      "rejected (unknown table): whatever|it is\n"
      "rejected (unknown table): <ff>\n",
      unit_no_context },

    { "records: table with spaces", " ATTLOG ",
      unit_string("4301\t2026-07-15 09:00:00\t0\n"),
      1,
      "punch pin='4301' local_time=2026-07-15T09:00:00 status=0 verify=-1\n",
      unit_no_context },

    { "records: empty", "OPERLOG",
      unit_string(""),
      0,
      "",
      unit_no_context },

    { NULL, NULL, ngx_null_string, 0, NULL, unit_no_context }
};
