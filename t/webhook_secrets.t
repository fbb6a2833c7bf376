#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# iclock_secret_key: the database has secrets of webhooks that it cannot read.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use MIME::Base64 qw/ decode_base64 encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Receiver;

my $t = Test::IClock->new;
my $receiver = $t->receiver();
my $file = $t->dir() . '/secret.key';

my @key = map { encode_base64(chr($_) x 32, '') } 1 .. 3;
my $next = 0;
my %shown;

$t->psql('GRANT iclock_api TO iclock_nginx');


sub keys_are {
    my (@lines) = @_;

    open my $f, '>', $file or die "$file: $!";
    print $f map { "$_\n" } @lines;
    close $f or die "$file: $!";
    chmod 0600, $file;

    return;
}

sub server {
    my ($key) = @_;

    return Test::IClock::API::server($t, http => 'iclock_api_rate off;'
        . ' iclock_webhooks on; iclock_webhook_http on;'
        . ' iclock_webhook_allow 127.0.0.1/32;' . ($key || ''));
}

my $on = "iclock_secret_key $file;";

# the next sender gets nothing that has come

sub reload {
    my ($http, %option) = @_;

    $t->settled();
    $t->reload($http, %option);

    return;
}

# what a new event to the endpoint of this path was signed with

sub signed {
    my ($path, $secret, $seconds) = @_;

    my $before = $receiver->count($path);

    $next++;
    $t->psql("SELECT iclock.event_write('user.updated', null,"
             . " json_build_object('id', '$next'))");
    $receiver->wait_for($before + 1, $path, $seconds || 30);

    my $request = ($receiver->requests($path))[$before];

    return $request ? $receiver->verified($request, $secret) : 'no request';
}

sub made {
    my ($path) = @_;

    my ($id, $secret) = split /\|/, $t->psql('SELECT * FROM'
        . " iclock.create_webhook('" . $receiver->url($path)
        . "', '{user.updated}')");

    $shown{$secret} = "made by SQL for $path";

    return ($id, $secret);
}

sub sealed_by {
    my ($id) = @_;

    return $t->psql("SELECT array_to_string(sealed_by, ',') FROM"
                    . " iclock.webhook_status WHERE id = '$id'");
}

sub stored {
    my ($id, $column) = @_;

    return decode_base64($t->psql("SELECT encode($column, 'base64') FROM"
        . " iclock.webhook_endpoint WHERE id = '$id'") =~ s/\s//gr);
}


# without a key secrets are in clear, as ever

my ($id, $secret) = made('/old');

$t->start(server(), level => 'debug');
my $api = Test::IClock::API->new($t);

ok(signed('/old', $secret), 'without a key');
is(sealed_by($id), '', 'the secret is in clear');

my $named = { 'Idempotency-Key' => 'before' };
my $r = $api->post('/webhooks', { url => $receiver->url('/early'),
                                  types => [ 'user.deleted' ] }, %$named);
my $early = $r->json->{secret};
$shown{$early} = 'made before there was a key';


# with one they are sealed, those of before, too

keys_are('# the first one seals', '', $key[0]);
reload(server($on), wait => 1);

ok(wait_until(30, sub {
    $t->psql('SELECT bool_and(sealed_by IS NOT NULL) FROM'
             . ' iclock.webhook_status') eq 't'
}), 'secrets that there are become sealed');
my $first = sealed_by($id);
like($first, qr/\A[0-9a-f]{16}\z/, 'by a key that has a name');
ok(signed('/old', $secret), 'the receiver notices nothing');

$r = $api->post('/webhooks', { url => $receiver->url('/early'),
                               types => [ 'user.deleted' ] }, %$named);
is($r->header('Idempotency-Replayed'), 'true', 'an answer of before');
is($r->json->{secret}, $early, 'is still the same');

$named = { 'Idempotency-Key' => 'after' };
my $body = { url => $receiver->url('/new'), types => [ 'user.updated' ] };

$r = $api->post('/webhooks', $body, %$named);
is($r->status, 201, 'a webhook by HTTP');
like($r->body, qr/\A\{"id":.*,"secret":"whsec_[A-Za-z0-9+\/]{43}="\}\z/,
     'its secret is shown');

my ($new, $made) = @{$r->json}{qw/ id secret /};
$shown{$made} = 'made by HTTP';

is(sealed_by($new), $first, 'and was never stored in clear');
is($api->post('/webhooks', $body, %$named)->json->{secret}, $made,
   'the same answer once more');
ok(signed('/new', $made), 'it signs');

my $rotated = $api->post("/webhooks/$new/rotate-secret", {})->json->{secret};
$shown{$rotated} = 'rotated by HTTP';
like($rotated, qr/\Awhsec_/, 'another one');
isnt($rotated, $made, 'is another one');
ok(wait_until(30, sub { signed('/new', $rotated) eq '1' }), 'signs');
unlike($api->get("/webhooks/$new")->body, qr/whsec_|sealed_/,
       'nobody gets to see it again');

my ($sql, $clear) = made('/sql');
ok(wait_until(30, sub { sealed_by($sql) eq $first }),
   'one that SQL has made is sealed at once');
ok(signed('/sql', $clear), 'it signs');

my $again = $t->psql("SELECT iclock.rotate_webhook_secret('$sql')");
$shown{$again} = 'rotated by SQL';
ok(wait_until(30, sub { signed('/sql', $again) eq '1' }), 'rotated by SQL');
ok(wait_until(30, sub {
    length stored($sql, 'secret') == 76
    && length stored($sql, 'previous_secret') == 76
}), 'both are sealed');


# what a dump has of all tables, and the log

my $dump = join '', map { $t->psql("COPY (SELECT * FROM iclock.$_) TO STDOUT") }
           $t->psql_lines('SELECT quote_ident(relname) FROM pg_class WHERE'
               . " relnamespace = 'iclock'::regnamespace AND relkind = 'r'");

for my $where ([ dump => $dump ], [ log => $t->error_log() ]) {
    my ($name, $text) = @$where;

    like($text, qr/\Q$id\E/, "there is a $name");

    for my $secret (sort keys %shown) {
        my $bytes = decode_base64(substr $secret, 6);

        ok(index($text, substr $secret, 6) < 0,
           "$name: no secret that was $shown{$secret}");
        ok(index($text, unpack 'H*', $bytes) < 0, "$name: not in hex, either");
    }
    ok(index($text, $key[0]) < 0, "$name: no key");
}


# a new key takes over, and the old one may go

my $sealed = stored($id, 'secret');

keys_are($key[1], $key[0]);
reload(server($on), wait => 1);
ok(wait_until(30, sub {
    $t->psql('SELECT count(DISTINCT sealed_by) = 1 AND'
             . " bool_and(sealed_by <> '{$first}') FROM"
             . ' iclock.webhook_status') eq 't'
}), 'the first key of the file seals all anew');
isnt(stored($id, 'secret'), $sealed, 'with other bytes');

keys_are($key[1]);
reload(server($on), wait => 1);
ok(signed('/old', $secret), 'without the old key');
is($api->post('/webhooks', $body, %$named)->json->{secret}, $made,
   'answers that were kept go with it');


# the key is missing, or another one: nothing is sent, and nothing is lost

keys_are($key[2]);
reload(server($on), wait => 1);
ok(wait_until(30, sub { $t->error_log() =~
       /webhooks wait for a key of "iclock_secret_key" .*: 4, one is "wh_/ }),
   'without its key the log tells of them');

my $count = $receiver->count('/old');

is(signed('/old', $secret, 2), 'no request', 'they are not called');
is($t->psql('SELECT string_agg(DISTINCT status, \',\') FROM'
            . ' iclock.webhook_status'), 'active', 'nor given up');
is($api->post('/webhooks', $body, %$named)->json->{secret}, undef,
   'an answer that was kept has no secret');
is($api->post("/webhooks/$new/pause", {})->json->{status}, 'paused',
   'all else can be done');

reload(server(), wait => 1);
is(signed('/old', $secret, 2), 'no request', 'nor without any key');
ok(wait_until(30, sub {
    (() = $t->error_log() =~ /webhooks wait for a key/g) >= 2
}), 'the log says so');
is(scalar(() = $t->error_log() =~ /webhooks wait for a key/g), 2,
   'which the log says once each');

keys_are($key[2], $key[1]);
reload(server($on), wait => 1);
is($receiver->wait_for($count + 2, '/old', 30), $count + 2,
   'with the key all that waited comes');
ok($receiver->verified(($receiver->requests('/old'))[$count], $secret),
   'signed');


# somebody changes what is sealed, and changes it back

sub change {
    my (@ids) = @_;

    return $t->psql('UPDATE iclock.webhook_endpoint SET secret ='
                    . ' set_byte(secret, 40, get_byte(secret, 40) # 1)'
                    . " WHERE id IN ('" . join("', '", @ids) . "');"
                    . ' SELECT iclock.webhook_changed()');
}

sub told {
    my ($id) = (@_, $sql);

    return scalar(() = $t->error_log() =~ /webhooks\ get\ nothing,\ as\ their
        \ secrets\ were\ changed\ in\ the\ database:\ 1;\ a\ new\ secret
        \ mends\ one,\ by\ "SELECT
        \ iclock.rotate_webhook_secret\('\Q$id\E'\)"/gx);
}

change($sql);

ok(wait_until(30, sub { told() }),
   'a secret that was changed opens no more: the log tells what to do');

# which does not keep the others from being sealed by a new key

keys_are($key[0], $key[2], $key[1]);
reload(server($on), level => 'debug', wait => 1);
ok(wait_until(30, sub {
    $t->psql("SELECT count(*) FROM iclock.webhook_status WHERE id <> '$sql'"
             . " AND sealed_by <> '{$first}'") eq '0'
}), 'the others are sealed anew');
isnt(sealed_by($sql), $first, 'it is not');
ok(wait_until(30, sub { told() == 2 }), 'the next sender tells, too');

for my $i (1 .. 2) {
    $t->psql('SELECT iclock.webhook_changed()');
    ok(signed('/old', $secret), "the others get theirs: $i");
}
is(told(), 2, 'once');

change($id, $sql);
ok(wait_until(30, sub { told($id) }), 'and of another one in its place');
change($id, $sql);
ok(wait_until(30, sub { told() == 3 }), 'and so on');

$again = $api->post("/webhooks/$sql/rotate-secret", {})->json->{secret};
ok(wait_until(30, sub { signed('/sql', $again, 2) eq '1' }),
   'with a new secret it gets its events');
is(sealed_by($sql) =~ s/,.*//r, $first, 'sealed by the first key');

# while its last result is not stored it is not ours, and not begun anew

sub leases { return scalar(() = $t->error_log() =~ /webhooks: leased: 0,/g) }

# the second one begins when the first has come to its end

sub leased_anew {
    for (1 .. 2) {
        my $n = leases();

        $t->psql('SELECT iclock.webhook_changed()');
        wait_until(30, sub { leases() > $n });
    }
}

sub begun { return scalar(() = $t->error_log() =~ /"\Q$sql\E" is ours/g) }

my $session = $t->pg->session();

$session->query('BEGIN');
$session->query('LOCK TABLE iclock.webhook_attempt IN SHARE MODE');
is(signed('/sql', $again), 1, 'one more, of which the result has to wait');
change($sql);
ok(wait_until(30, sub { told() == 4 }), 'its secret is changed: the log tells');
leased_anew();

my $begun = begun();

$session->query('COMMIT');
ok(wait_until(30, sub { leased_anew(); begun() > $begun }),
   'the result is stored, and it is leased anew');
leased_anew();
is(told(), 4, 'once');


# wrong files

sub refused {
    my ($what, $like) = @_;

    my ($status, $said) = $t->nginx_t(server($on));

    isnt($status, 0, "$what: refused");
    like($said, qr/"iclock_secret_key": $like/, 'it says why');
    unlike($said, qr/QUFB|AQEB/, 'and quotes nothing');

    return;
}

keys_are();
refused('no key', 'the file has 0 keys, not 1 to 16');
keys_are(encode_base64('A' x 31, ''));
refused('a short key', 'line 1 of the file is not another key');
keys_are($key[0], '', encode_base64('A' x 33, ''));
refused('a long key', 'line 3 of the file is not another key');
keys_are('not base64!');
refused('no base64', 'line 1 of the file is not another key');
keys_are($key[0], $key[0]);
refused('a key twice', 'line 2 of the file is not another key');
keys_are(map { encode_base64(chr($_) x 32, '') } 1 .. 17);
refused('17 keys', 'the file has 17 keys, not 1 to 16');
keys_are(('#' x 99) x 50);
refused('a large file', '"[^"]+" is no file of keys');
unlink $file;
refused('no file', 'open\(\) "[^"]+" failed \(2:');

keys_are($key[0]);
my ($status, $said) = $t->nginx_t(server("$on $on"));
isnt($status, 0, 'twice: refused');
like($said, qr/"iclock_secret_key" directive is duplicate/, 'it says why');
($status) = $t->nginx_t(server('iclock_secret_key off;'));
is($status, 0, 'off is a value');
chmod 0644, $file;
($status, $said) = $t->nginx_t(server($on));
is($status, 0, 'a file that everybody may read');
like($said, qr/\[warn\] .* is open to everybody/, 'is warned of');

$t->allow(qr/webhooks wait for a key|secrets were changed|opens the secret/);
$t->done();
