#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Webhooks for HR systems, as the document makes them: receivers that are as
# particular as Frappe HR and Odoo.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;
use Test::IClock::Receiver;

my $json = JSON::PP->new->utf8->canonical;
my $docs = "$FindBin::Bin/../docs";
my ($text) = map { slurp($_) } grep { -e } "$docs/integrate-hr.md",
                                           "$docs/integrate.md";

# name => what a program posts to /webhooks

my %hook = map {
    my $settings = $json->decode($_);
    ($settings->{url} =~ m!\Ahttps://[^/]+/(\w+)/!)[0] => $settings
} grep { /"body":/ } $text =~ /-d '(\{.*?\n   \})'$/smg;

is(join(' ', sort keys %hook), 'api json web', 'three webhooks are documented');

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');

my %id;

for my $name (sort keys %hook) {
    my %set = %{$hook{$name}};
    my ($path) = $set{url} =~ m!//[^/]+(/.*)!;

    ($id{$name}) = split /\|/, $t->psql(
        'SELECT * FROM iclock.create_webhook('
        . join(', ', "'" . $receiver->url($path) . "'",
               "ARRAY['" . join("', '", @{$set{types}}) . "']",
               'headers => $x$' . $json->encode($set{headers} || {}) . '$x$',
               'body => $x$' . $json->encode($set{body}) . '$x$',
               'ordered => ' . ($set{ordered} ? 'true' : 'false')) . ')');
}

my %path = map { $_ => $hook{$_}{url} =~ m!//[^/]+(/.*)! } keys %hook;

# whom Frappe does not know; and a rule of Odoo that fails

$receiver->answer($path{api}, { status => 417, when => '"EMP_404"',
                                body => '{"exception":"No Employee found"}' },
                  { status => 200, body => '{"message":{}}' });
$receiver->answer($path{web}, { status => 500, body => '{"status":"error"}' },
                  { status => 200, body => '{"status":"ok"}' });

$t->psql("SELECT iclock.register_device('HR000001', name => 'Gate',"
         . " timezone => 'Asia/Kolkata')");
$t->start($t->device_server(http => 'iclock_webhooks on;'
    . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'));
ok(wait_until(10, sub {
    $t->psql('SELECT count(*) FROM iclock.webhook_endpoint'
             . ' WHERE leased_by IS NOT NULL') == 3
}), 'nginx takes them');

my $device = $t->device('HR000001');

$device->handshake();
$device->punches([ 'EMP_404', '2026-07-15 08:59:59', 0, 1 ],
                 [ 'EMP_1', '2026-07-15 09:00:00', 0, 1 ],
                 [ 'EMP_1', '2026-07-15 18:30:00', 1, 15 ]);
$receiver->wait_for($_->[0], $path{$_->[1]})
    for [ 3, 'api' ], [ 4, 'web' ], [ 3, 'json' ];

sub bodies {
    return map { $json->decode($_->{body}) } $receiver->requests($path{$_[0]});
}

sub about { grep { $json->encode($_) =~ /"EMP_1"/ } bodies($_[0]) }


# Frappe HR

my ($request) = $receiver->requests($path{api});

is($request->{headers}{authorization}, 'token <api_key>:<api_secret>',
   'Frappe: its key');
is($request->{headers}{'content-type'}, 'application/json', 'and JSON');
is_deeply([ sort { $a->{timestamp} cmp $b->{timestamp} } about('api') ],
    [ { employee_field_value => 'EMP_1', device_id => 'HR000001',
        timestamp => '2026-07-15 09:00:00', log_type => 'IN' },
      { employee_field_value => 'EMP_1', device_id => 'HR000001',
        timestamp => '2026-07-15 18:30:00', log_type => 'OUT' } ],
    'what add_log_based_on_employee_field() takes, in local time');
like($request->{body}, qr/\A\{"device_id":"HR000001","employee_field_value":/,
     'without blanks');
ok($request->{headers}{'webhook-signature'}, 'and signed all the same');

ok(wait_until(5, sub {
    $t->psql("SELECT status || failures FROM iclock.webhook_endpoint"
             . " WHERE id = '$id{api}'") =~ /\Aactive[01]\z/
        && $t->psql("SELECT state || last_status FROM iclock.webhook_retry"
                    . " WHERE endpoint_id = '$id{api}'") eq 'retrying417'
}), 'somebody whom it does not know is tried again, alone');
is($t->psql("SELECT DISTINCT response FROM iclock.webhook_attempt"
            . " WHERE status = 417"), '{"exception":"No Employee found"}',
   'its answer says why');

# somebody enters the employee

$receiver->answer($path{api}, { status => 200 });
ok(wait_until(10, sub {
    $t->psql("SELECT count(*) FROM iclock.webhook_retry"
             . " WHERE endpoint_id = '$id{api}'") == 0
}), 'and is there once they are known');


# Odoo

is_deeply([ map { "$_->{badge} $_->{at} " . ($_->{direction} // '-') }
                bodies('web') ],
    [ 'EMP_404 2026-07-15 03:29:59 IN', 'EMP_404 2026-07-15 03:29:59 IN',
      'EMP_1 2026-07-15 03:30:00 IN', 'EMP_1 2026-07-15 13:00:00 OUT' ],
    'Odoo: in UTC, in order, a failure before the others');
($request) = $receiver->requests($path{json});
is($request->{headers}{authorization}, 'bearer <api key>', 'JSON-2: its key');
is($request->{headers}{'x-odoo-database'}, 'example', 'the database');
my @row = map { @{$_->{vals_list}} } about('json');
is(join(' ', sort map { "$_->{x_badge} $_->{x_at} $_->{x_terminal}" } @row),
   'EMP_1 2026-07-15 03:30:00 HR000001 EMP_1 2026-07-15 13:00:00 HR000001',
   'and the arguments of create()');
ok(!(grep { $_->{x_event} !~ /\Aevt_[0-9a-f]{16}_[0-9a-f]{16}\z/ } @row),
   'with the event');

$t->done();
