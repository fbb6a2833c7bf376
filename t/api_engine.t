#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What the HTTP interface runs on: its own pool, listener and zone, which are
# there only if something needs them.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new;
my $database = $t->conninfo();


# connections of nginx by the names that they give themselves

sub names {
    my ($names) = @_;

    my $is;

    wait_until(30, sub { $is = query_names(); $is eq $names });

    return $is;
}


sub query_names {
    return $t->psql(q{SELECT string_agg(DISTINCT application_name, ' '
                             ORDER BY application_name)
                      FROM pg_stat_activity
                      WHERE application_name LIKE 'iclock/%'});
}


sub api_server {
    my ($http, $location) = @_;

    return <<END;
    iclock_database "$database";
    $http

    server {
        listen 127.0.0.1:%%PORT%%;

        location /v1 {
            iclock_api;
        }

        $location
    }
END
}


# no location for devices

$t->start(api_server('', ''));

my $api = 'iclock/0/api iclock/1/api iclock/listen/api';

is(names($api), $api,
   'without devices there is one pool, and its listener');

# tokens are masked there, too

my $access = $t->dir() . '/access.log';
my $own = $t->dir() . '/own.log';

$t->reload(api_server('log_format uri "$request $args $arg_token";',
                      "access_log $access uri;"
                      . " location /own { iclock_api; error_log $own; }"));

is($t->get('/v1/events?token=ist_SECRET&types=x',
           Accept => 'text/event-stream')->status(), 500,
   'nginx has no right to ask the database yet');
ok(wait_until(30, sub { -s $access }), 'an access log');
like(slurp($access), qr/token=\*+&types=x/, 'without the token');
unlike(slurp($access), qr/SECRET/, 'in any form');

$t->get('/own/events?token=ist_SECRET', Accept => 'text/event-stream');
ok(wait_until(30, sub { -s $own }), 'an error log of a location');
like(slurp($own), qr/token=\*+ HTTP/, 'without the token');
unlike(slurp($own), qr/SECRET/, 'in any form');

# and with one

$t->reload(api_server('', 'location /iclock { iclock;'
           . ' iclock_unknown_devices accept; }'));

my $all = 'iclock/0 iclock/0/api iclock/1 iclock/1/api iclock/listen'
          . ' iclock/listen/api';

is(names($all), $all, 'beside that of the devices');
is($t->get('/iclock/ping?SN=ENGINE0001')->text, '200 OK', 'which are served');


# nothing is made that nobody needs

$t->reload($t->device_server());

my $devices = 'iclock/0 iclock/1 iclock/listen';

is(names($devices), $devices, 'nothing of it without iclock_api');

my ($status, $said) = $t->nginx_t(<<'END');
    server {
        listen 127.0.0.1:%%PORT%%;
        location /v1 { iclock_api; }
    }
END

isnt($status, 0, 'without a database');
like($said, qr/no "iclock_database" is defined for "iclock_api"/, 'and why');

$t->done();
