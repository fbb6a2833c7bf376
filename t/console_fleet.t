#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Fleet and a device on the console page; see t/console.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Answers;
use Test::IClock::Browser;

my $t = Test::IClock->new;

Test::IClock::Browser->start($t)->run('fleet');

like(join("\n", Test::IClock::Answers::heard()), qr!^GET /summary 200$!m,
     'the harness hears what a page is answered');

$t->done();
