#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Views of the console page, compared with pictures; see t/console.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Browser;

my $t = Test::IClock->new;

Test::IClock::Browser->start($t)->run('pictures');

$t->done();
