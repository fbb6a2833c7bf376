#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The console page when something fails; see t/console.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Browser;

my $t = Test::IClock->new;

# what it has to say when nginx and PostgreSQL are gone
$t->allow(qr/connect|terminating|shut/i);

Test::IClock::Browser->start($t, timeout => '5s')->run('faults');

$t->done();
