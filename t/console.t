#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The console page in a browser: its policy, the key, and what strangers have
# written; see t/console.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Browser;

my $t = Test::IClock->new;

Test::IClock::Browser->start($t)->run('policy')->run('key')->run('hostile');

$t->done();
