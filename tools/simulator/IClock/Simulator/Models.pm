package IClock::Simulator::Models;

# Copyright (C) the ngx_http_iclock_module authors

# What tells the terminals of the simulator apart.  A model is a row; what a
# row does not say is as in %common.  Behaviour that has no row here is the
# same for all and is in Terminal.pm.

use strict;
use warnings;

# handshake   the query of the first request, "%s" being the serial number
# path        what stands behind the name of an endpoint
# http        version of HTTP
# sn          how the serial number's argument is called
# type        Content-Type of uploads; '': none
# spaces      sends spaces of INFO as they are
# dialect     2.4, or 3.2 for push SDK 3.2.0
# stamps      nominal: always 9999, and obeys a 0 only; number, time: of the
#             last record, and goes on behind the one that the server names
# bare        reads "Stamp=" and its like, too
# trans       how TransFlag must be written: tabs, spaces, any
# columns     shape of a punch, see punch_line() of Terminal.pm
# verify      how people verify themselves: codes, the usual one first
# finger      version of the fingerprint algorithm, 0: none
# face        version of the face algorithm, 0: none
# face_as     how a face is uploaded: BIODATA or FACE
# camera      takes a photo of each punch
# thermometer  measures who comes
# options     reports its options (table=options)
# batch       records of one upload
# at_once     how many commands of a poll it executes; 0: all
# digits      longest id of a command that it understands
# cannot      beginnings of commands that it does not know: -1004 or -22
# echoes      uploads the people that it was told to store
# eol         of answers: lf, crlf, mixed
# together    several answers in one body
# error_delay seconds before another try, until the server has said
# flags       last value of INFO

my %common = (
    path => '', http => '1.1', sn => 'SN', type => 'text/plain', spaces => 0,
    dialect => '2.4', stamps => 'nominal', bare => 1, trans => 'any',
    columns => 7, verify => [ 1, 1, 1, 4, 3 ], finger => 10, face => 0,
    face_as => 'BIODATA', camera => 0, thermometer => 0, options => 1,
    batch => 100,
    at_once => 0, digits => 9, cannot => [], echoes => 0, eol => 'lf',
    together => 1, error_delay => 30, flags => '111', vendor => 'ZKTECO CO.,'
    . ' LTD.', more => {}, key_always => 0,
);

my @not_attendance = ('SHELL', 'UPGRADE', 'PutFile', 'GetFile');

my @model = (
    {   name => 'face', prefix => 'AJE', title => 'visible light face, 2020',
        handshake => 'SN=%s&options=all&language=69&pushver=2.4.1'
                     . '&DeviceType=att&PushOptionsFlag=1',
        type => 'application/push;charset=UTF-8', columns => 10,
        verify => [ 15, 15, 15, 15, 1 ], face => 39, camera => 1,
        thermometer => 1, flags => '11111', error_delay => 15,
        cannot => [ 'SHELL' ],
        product => 'SpeedFace-V5L', platform => 'ZAM180_TFT',
        firmware => 'ZAM180-NF-Ver1.2.8',
        more => { VisilightFun => 1, BioPhotoFun => 1, BioDataFun => 1 },
    },
    {   name => 'finger', prefix => 'CEZ', title => 'fingerprint and card',
        handshake => 'PushOptionsFlag=2&SN=%s&language=69&options=all'
                     . '&pushver=2.4.0',
        flags => '101', cannot => [ 'ENROLL_BIO', @not_attendance ],
        product => 'K40', platform => 'ZLM60_TFT',
        firmware => 'Ver 8.0.4.3-20200101',
    },
    {   name => 'palm', prefix => 'NYU', title => 'face and palm, SenseFace',
        handshake => 'SN=%s&options=all&language=69&pushver=2.4.2'
                     . '&DeviceType=att&PushOptionsFlag=1',
        type => 'application/push;charset=UTF-8', columns => 12,
        trans => 'tabs', verify => [ 15, 15, 25, 25, 1 ], face => 40,
        camera => 1, flags => '11111', echoes => 1, cannot => [ 'SHELL' ],
        product => 'SenseFace 2A', platform => 'ZAM70_TFT',
        firmware => 'ZAM70-NF24HA-Ver3.3.12',
        more => { VisilightFun => 1, BioPhotoFun => 1, BioDataFun => 1,
                  PvFunOn => 1 },
    },
    {   name => 'essl', prefix => 'CGK', title => 'eSSL x2008 with .aspx',
        handshake => 'SN=%s&options=all&language=69&pushver=2.4.0',
        path => '.aspx', bare => 0, trans => 'spaces', options => 0,
        columns => 6, at_once => 1, digits => 6, together => 0,
        eol => 'crlf', vendor => 'eSSL', product => 'X2008',
        platform => 'ZMM220_TFT', firmware => 'Ver 6.60 Oct 28 2017',
        cannot => [ 'ENROLL_BIO', @not_attendance ],
    },
    {   name => '2013', prefix => 'CEX', title => 'near-infrared face',
        handshake => 'SN=%s&options=all&language=69&pushver=2.2.14'
                     . '&PushOptionsFlag=1',
        columns => 7, verify => [ 15, 15, 15, 1, 4 ], face => 7,
        face_as => 'FACE', eol => 'mixed', batch => 128,
        product => 'iFace302', platform => 'ZMM100_TFT',
        firmware => 'Ver 6.5.4(build 156)',
        cannot => [ 'ENROLL_BIO', 'VERIFY SUM' ],
    },
    {   name => 'old', prefix => 'OLD', title => 'black and white, HTTP/1.0',
        handshake => 'sn=%s&options=all', http => '1.0', sn => 'sn',
        type => '', spaces => 1, stamps => 'number', columns => 6,
        finger => 9, options => 0, batch => 50, at_once => 1,
        flags => '101', together => 0, eol => 'crlf', product => 'iClock360',
        platform => 'ZEM510_INT', firmware => 'Ver 2.0.12-20090806',
        cannot => [ 'ENROLL_BIO', 'VERIFY SUM', 'DATA UPDATE BIODATA',
                    'DATA UPDATE BIOPHOTO', @not_attendance ],
    },
    {   name => 'sdk', prefix => 'TFT', title => 'push SDK 3.2.0, TFT clock',
        handshake => 'SN=%s&options=all&pushver=2.0.3.636&language=69',
        dialect => '3.2', stamps => 'time', bare => 0, columns => 16,
        verify => [ 1, 1, 2, 0, 3 ], options => 0, flags => '101',
        camera => 1, product => 'TFT600', platform => 'ZEM600_TFT',
        firmware => 'Ver 6.8.0(build640)', key_always => 1,
        cannot => [ 'VERIFY SUM', 'DATA UPDATE BIODATA', 'ENROLL_BIO',
                    'ENROLL_MF' ],
    },
);

$_ = { %common, %$_ } for @model;

my %model = map { $_->{name} => $_ } @model;


sub all { @model }

sub names { map { $_->{name} } @model }


# a model by its name, or undef

sub named { $model{$_[0]} }


# What it says of itself, in order: pairs.  Some values are empty, and some
# have commas, as on real ones.

sub options {
    my ($model, $terminal) = @_;

    my $types = bio_list($model, 1, 1);

    return (
        [ '~DeviceName', $model->{product} ], [ 'MAC', $terminal->mac ],
        [ 'TransactionCount', $terminal->punch_count ],
        [ '~MaxAttLogCount', 20 ], [ 'UserCount', $terminal->user_count ],
        [ '~MaxUserCount', 100 ], [ 'PhotoFunOn', $model->{camera} ],
        [ '~MaxUserPhotoCount', 2000 ], [ 'FingerFunOn', 1 ],
        [ 'FPVersion', $model->{finger} ],
        [ '~MaxFingerCount', 60 ], [ 'FPCount', $terminal->finger_count ],
        [ 'FaceFunOn', $model->{face} ? 1 : 0 ],
        [ 'FaceVersion', $model->{face} ],
        [ '~MaxFaceCount', $model->{face} ? 6000 : 0 ],
        [ 'FaceCount', $terminal->face_count ], [ 'FvFunOn', 0 ],
        [ 'FvVersion', 0 ], [ '~MaxFvCount', 0 ], [ 'FvCount', 0 ],
        [ 'PvFunOn', 0 ], [ 'PvVersion', '' ], [ 'Language', 69 ],
        [ 'IPAddress', $terminal->address ], [ '~Platform',
                                               $model->{platform} ],
        [ '~OEMVendor', $model->{vendor} ], [ 'FWVersion',
                                              $model->{firmware} ],
        [ 'PushVersion', 'Ver 2.0.33-20190724' ], [ 'RegDeviceType', '' ],
        [ 'VideoTID', '' ], [ '~SerialNumber', $terminal->sn ],
        ($model->{face} > 10
         ? ([ 'MultiBioDataSupport', $types ],
            [ 'MultiBioPhotoSupport', '0:0:0:0:0:0:0:0:0:1' ],
            [ 'MultiBioVersion', bio_list($model, $model->{finger},
                                          $model->{face}) ],
            [ 'MultiBioCount', bio_list($model, $terminal->finger_count,
                                        $terminal->face_count) ],
            [ 'MaxMultiBioDataCount', bio_list($model, 10000, 6000) ],
            [ 'MaxMultiBioPhotoCount', '0:0:0:0:0:0:0:0:0:6000' ])
         : ()),
        map { [ $_, $model->{more}{$_} ] } sort keys %{$model->{more}});
}


# ten places, of which 1 is the fingerprint and 2 or 9 the face

sub bio_list {
    my ($model, $finger, $face) = @_;

    my @place = (0) x 10;

    $place[1] = $finger if $model->{finger};
    $place[face_type($model)] = $face if $model->{face};

    return join ':', @place;
}


sub face_type { $_[0]{face_as} eq 'FACE' ? 2 : 9 }


1;
