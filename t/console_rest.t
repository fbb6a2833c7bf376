#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What the console page asks for while nothing happens; see t/console.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Browser;

my $t = Test::IClock->new;

Test::IClock::Browser->start($t)->run('rest');

$t->done();
