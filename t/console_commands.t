#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Commands and problems on the console page; see t/console.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Browser;

my $t = Test::IClock->new;

# no list is longer: the page has to ask for no more
Test::IClock::Browser->start($t, api => 'iclock_api_page max=50;')
    ->run('commands');

$t->done();
