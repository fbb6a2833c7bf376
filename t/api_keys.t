#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Sessions beside each other: keys of the API whose changes are notified,
# requests that come twice at the same time.  t/sql/api_call.sql shows what one
# session sees.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $pg = $t->pg;


# what nginx asks: the database in place of the HTTP interface

sub call {
    my ($id, $operation, $serial, $more) = @_;

    my $route = $operation eq 'devices_create' ? '/devices' : '/devices/{sn}';
    my $method = $operation eq 'devices_create' ? 'POST' : 'GET';
    my $scope = $method eq 'GET' ? 'devices:read' : 'devices:write';
    my $path = $method eq 'GET' ? qq({"sn":"$serial"}) : '{}';

    $more = $more ? ",$more" : '';

    my $request = qq({"key":"$id","scope":"$scope","method":"$method",)
                  . qq("route":"$route","path":$path,"query":{},)
                  . qq("address":"192.0.2.1"$more});
    my $body = $method eq 'GET' ? 'NULL' : qq('{"serial_number":"$serial"}');

    return "SELECT concat_ws(' ', r.status, r.meta #>> '{problem,code}',"
           . " r.headers ->> 'Idempotency-Replayed')"
           . " FROM iclock_api.call('$operation', '$request', $body) AS r";
}


sub id { (split /_/, $_[0])[2] }

sub devices {
    return $t->psql("SELECT count(*) FROM iclock.device"
                    . " WHERE serial_number LIKE '$_[0]%'");
}


# psql tells of notifications behind the next statement

sub notified {
    my ($sql) = @_;

    my $text = $t->psql("LISTEN iclock_api_key; $sql; SELECT 'end';");

    return [ $text =~ /"iclock_api_key" with payload "(\w+)"/g ];
}


my $key = id($t->psql("SELECT iclock.create_api_key('test',"
                      . " '{devices:read,devices:write}')"));


# notifications

is(@{notified("SELECT iclock.create_api_key('x', '{logs:read}')")}, 1,
   'a new key is notified');
is_deeply(notified("UPDATE iclock.api_key SET rate = 7 WHERE id = '$key'"),
          [ $key ], 'a change is');
is_deeply(notified("UPDATE iclock.api_key SET name = 'y' WHERE id = '$key'"),
          [], 'another name is not');
is($t->psql(call($key, 'devices_get', 'NOSUCH')), '404 not_found', 'used');
is_deeply(notified("UPDATE iclock.api_key SET last_used_at = NULL"
                   . " WHERE id = '$key'; "
                   . call($key, 'devices_get', 'NOSUCH')),
          [], 'nor that it is used');

my $rotated = notified("SELECT iclock.rotate_api_key('$key', '1 hour')");

is(@$rotated, 2, 'one that takes the place of another, and that one');
ok((grep { $_ eq $key } @$rotated), 'are named');
is_deeply(notified("SELECT iclock.revoke_api_key('$key')"), [ $key ],
          'a revoked one is');
is($t->psql(call($key, 'devices_get', 'NOSUCH')), '401 bad_key',
   'and is refused');

($key) = grep { $_ ne $key } @$rotated;


# whoever registers a device waits for this

my $lock = "SELECT pg_advisory_xact_lock(hashtext('iclock.register_devices'))";

my $holder = $pg->hold($lock);
my $named = '"idempotency_key":"once","fingerprint":"f"';
my $first = $pg->background(call($key, 'devices_create', 'ONCE1', $named));

ok(Test::IClock::wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
             . " AND NOT granted");
}), 'a request is under way');

my @other = map { $pg->background(call($key, 'devices_create', 'ONCE1',
                                       $named)) } 2 .. 10;

is_deeply([ map { $_->wait() } @other ], [ ('409 busy_key') x 9 ],
          'nine more of the same name are told so');

$holder->release();

is($first->wait(), '201', 'the first one is answered');
is($t->psql(call($key, 'devices_create', 'ONCE1', $named)), '201 true',
   'and any later one with its answer');
is(devices('ONCE'), 1, 'it was done once');


# without anything that holds the first one back

my $wish = '"idempotency_key":"ten","fingerprint":"f"';
my @ten = map { $pg->background(call($key, 'devices_create', 'TEN1', $wish)) }
          1 .. 10;
my %seen;

$seen{$_->wait()}++ for @ten;

is(delete $seen{201}, 1, 'of ten at the same time one is done');
is(join(' ', grep { !/^(?:201 true|409 busy_key)\z/ } sort keys %seen), '',
   'the others get its answer, or are told that it is under way');
is(devices('TEN'), 1, 'one device');


# the same device in two requests

$holder = $pg->hold($lock);

my @two = map { $pg->background(call($key, 'devices_create', 'TWO1')) } 1 .. 2;

ok(Test::IClock::wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
             . " AND NOT granted") == 2;
}), 'two requests wait');
$holder->release();
is_deeply([ sort map { $_->wait() } @two ], [ '201', '409 exists' ],
          'of two that register a device one has it');


# a key is read, not waited for

$t->psql("UPDATE iclock.api_key SET last_used_at = NULL WHERE id = '$key'");
$holder = $pg->hold("SELECT 1 FROM iclock.api_key WHERE id = '$key'"
                    . " FOR UPDATE");

is($t->psql("SET lock_timeout = '1s'; " . call($key, 'devices_get', 'TEN1')),
   '200', 'somebody has its row: nobody waits for that');
$holder->release();

is($t->psql("SET default_transaction_read_only = on; "
            . call($key, 'devices_get', 'TEN1')), '200',
   'a server that only reads answers');
is($t->psql("SELECT last_used_at IS NULL FROM iclock.api_key"
            . " WHERE id = '$key'"), 't', 'it notes nothing');


# what is old goes by itself

$t->psql("UPDATE iclock.api_idempotency"
         . " SET created_at = now() - interval '25 hours'");
$t->psql('SELECT iclock.maintain()');
is($t->psql('SELECT count(*) FROM iclock.api_idempotency'), 0,
   'maintain() deletes old answers');

$t->done();
