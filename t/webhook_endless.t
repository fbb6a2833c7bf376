#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Receivers of webhooks whose answers never end, in each part of an answer: none
# is listened to until the time is up, and others get theirs meanwhile.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

# what is read: of bodies, and of all that libcurl reads over for their sake
use constant READ => 65536;
use constant WIRE => 4 * READ;

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');

# what they begin with, and go on with
my $ok = "HTTP/1.1 200 OK\r\n";
my $chunked = "${ok}Transfer-Encoding: chunked\r\n\r\n";

my %answer = (
    body => [ "$ok\r\n", 'x' x 65536 ],
    chunk => [ "${chunked}100000000\r\n", 'x' x 65536 ],
    chunks => [ $chunked, "1;a=b\r\nx\r\n" x 6000 ],
    continue => [ '', "HTTP/1.1 100 Continue\r\n\r\n" x 2600 ],
    extension => [ "${chunked}1;a=", 'x' x 65536 ],
    extensions => [ $chunked, ('1;' . 'a' x 4000 . "\r\nx\r\n") x 16 ],
    headers => [ $ok, "X-A: b\r\n" x 8000 ],
    line => [ "${ok}X-A: ", 'x' x 65536 ],
    status => [ 'HTTP/1.1 200 ', 'x' x 65536 ],
    trailers => [ "${chunked}0\r\n", "X-A: b\r\n" x 8000 ],
);
my %id;


sub hook {
    my ($path) = @_;

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
        . "'" . $receiver->url("/$path") . "', '{user.updated}')");

    return $id;
}

sub attempt {
    my ($name, $what) = @_;

    return $t->psql("SELECT $what FROM iclock.webhook_attempt WHERE"
                    . " endpoint_id = '$id{$name}' ORDER BY attempt LIMIT 1");
}


for my $name (sort keys %answer) {
    my ($raw, $endless) = @{$answer{$name}};

    $receiver->answer("/$name", { raw => $raw, endless => $endless, heed => 1,
                                  times => 1 }, { status => 204 });
    $id{$name} = hook($name);
}

my $good = hook('good');

$t->start($t->device_server(http => 'iclock_webhooks on;'
    . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'
    . ' iclock_webhook_limits timeout=300s;'));

ok(wait_until(30, sub {
    $t->psql('SELECT count(leased_by) FROM iclock.webhook_endpoint')
    == 1 + keys %answer
}), 'nginx takes them all');

$t->psql("SELECT iclock.event_write('user.updated', null, '{\"id\":\"1\"}')");
is($receiver->wait_for(1, '/good', 30), 1, 'one that is good gets the event');

# as long as they may take, nearly
ok(wait_until(240, sub {
    $t->psql('SELECT count(DISTINCT endpoint_id) FROM iclock.webhook_attempt')
    == 1 + keys %answer
}), 'all others have come to an end') or diag($t->psql(
       'SELECT endpoint_id, status, error FROM iclock.webhook_attempt'));

for my $name (sort keys %answer) {
    my ($request) = $receiver->requests("/$name");
    my $most = READ + ($name =~ /^(?:body|chunk)\z/ ? READ : WIRE);

    cmp_ok(attempt($name, 'duration_ms'), '<', 300000, "$name: was cut off");
    cmp_ok($request->{sent}, '<', $most, "$name: nobody listens to the end");

    # who says 200 and too much has got it; else it is tried again
    if (attempt($name, 'error') eq '') {
        is(attempt($name, 'status'), 200, "$name: it was delivered");

    } else {
        is($receiver->wait_for(2, "/$name", 60), 2, "$name: once more");
    }
}

like(attempt('extension', 'error'), qr/answer is too long/,
     'what libcurl reads over is counted');

is($t->psql('SELECT count(*) FROM iclock.webhook_endpoint'
            . " WHERE status <> 'active'"), 0, 'nobody is given up');

$t->done();
