#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The console page for everybody, and everywhere; see t/console.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Browser;

my $t = Test::IClock->new;

Test::IClock::Browser->start($t)->run('access')->run('times');

$t->done();
