#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Devices that want to encrypt: by algorithms that are published nowhere.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;

$t->start();


sub version {
    my ($sn) = @_;

    return $t->get("/iclock/cdata?SN=$sn&options=all&pushver=2.4.1")->body
           =~ /^PushProtVer=(.*)$/m ? $1 : undef;
}

sub exchange {
    my ($query) = @_;

    return $t->post("/iclock/exchange?$query", 'PublicKey=abcdef')->status;
}


is(version('CRYPT00001'), '2.4.1', 'the version before');
is(version('PLAIN00001'), '2.4.1', 'of another device, too');

is(exchange('SN=CRYPT00001&type=publickey'), 404, 'no exchange of keys');
is(exchange('SN=CRYPT00001&type=factors'), 404, 'nor of factors');

is(version('CRYPT00001'), '2.2.14', 'a version without encryption then');
is(version('PLAIN00001'), '2.4.1', 'not for another device');

$t->reload();
is(version('CRYPT00001'), '2.2.14', 'still after a reload');

is(exchange('type=publickey'), 404, 'without a serial number');
is(exchange('SN=%00&type=publickey'), 404, 'with a bad one');
is(exchange('SN=UNKNOWN001'), 404, 'of an unknown device');
is($t->get('/iclock/exchange')->status, 404, 'by GET');
is($t->request("DELETE /iclock/exchange HTTP/1.0\r\n\r\n")->status, 404,
   'by another method');

my @lines = $t->error_log() =~ /(wants to encrypt)/g;
is(scalar @lines, 1, 'it is logged once');

is($t->get('/iclock/cdata?SN=CRYPT00001&options=all')->body
   =~ /^Encrypt=0$/m ? 1 : 0, 1, 'no encryption is offered at all');

$t->done();
