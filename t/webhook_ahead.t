#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Webhooks while other transactions are open: events are sent ahead of those
# that may still come before them, nothing is read again and again, nothing is
# left out, and the cursor follows when all is settled.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');


sub hook {
    my ($path, %option) = @_;

    my $options = join '', map { ", $_ => $option{$_}" } sort keys %option;

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
        . "'" . $receiver->url($path) . "', '{user.updated}'$options)");

    return $id;
}

sub write_sql {
    my ($first, $last, $type) = @_;

    $type ||= 'user.updated';

    return "SELECT count(iclock.event_write('$type', null,"
           . " json_build_object('id', n::text)))"
           . " FROM generate_series($first, $last) AS n";
}

sub names {
    return map { $_->{user}{id} }
           map { my $data = JSON::PP::decode_json($_->{body});
                 $data->{data} ? @{$data->{data}} : $data }
           $receiver->requests($_[0]);
}

# a transaction with these events that goes on until it is told to end

sub begin {
    my $session = $t->pg->session();

    $session->query("BEGIN; $_[0]");

    return $session;
}

# who of these has not come, and who has come again

sub missing {
    my ($all, @got) = @_;

    my %count;
    $count{$_}++ for @got;

    return 'missing: ' . join(' ', grep { !$count{$_} } @$all)
           . ', twice: ' . join(' ', grep { $count{$_} > 1 } sort keys %count);
}

# all of these have come, each once

sub came {
    my ($path, $first, $last, $name) = @_;

    my @got;

    wait_until(60, sub { @got = names($path); @got >= $last - $first + 1 });
    is(missing([ $first .. $last ], @got), 'missing: , twice: ', $name);
}

# the cursor is behind everything

sub settled {
    my ($id) = @_;

    return wait_until(30, sub {
        $t->psql('SELECT (cursor_xid, cursor_seq) >= (SELECT xid, seq FROM'
                 . " iclock.event WHERE type = 10"
                 . ' ORDER BY xid DESC, seq DESC LIMIT 1)'
                 . " FROM iclock.webhook_endpoint WHERE id = '$id'") eq 't';
    });
}

# rows that looks have brought

sub rows {
    my $log = $t->error_log();
    my $n = 0;

    $n += $1 while $log =~ /looked for work: 0, events: (\d+)/g;

    return $n;
}


my $id = hook('/hook', batch => 10, concurrency => 1);

$t->start($t->device_server(http => 'iclock_webhooks on;'
    . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'),
    level => 'debug');
ok(wait_until(30, sub { $t->error_log() =~ /"\Q$id\E" is ours/ }),
   'nginx takes an endpoint');
sleep 0.3;


# one after the other, while some transaction is open

my $open = begin('SELECT pg_current_xact_id()');
my $before = rows();

$t->psql(join "\n", map { write_sql($_, $_) . ";" } 1 .. 300);
came('/hook', 1, 300, 'events are sent while a transaction is open');

cmp_ok(rows() - $before, '>=', 300, 'looks bring events');
cmp_ok(rows() - $before, '<', 900,
       'and do not bring those again that were read');

isnt($t->psql("SELECT c.cursor_seq FROM iclock.webhook_endpoint c"
              . " WHERE c.id = '$id'"),
     $t->psql('SELECT max(seq) FROM iclock.event'),
     'the cursor waits for the transaction');
$open->query('COMMIT');
ok(settled($id), 'and follows at its end, without another event');
is(scalar(names('/hook')), 300, 'nothing was sent twice');


# At once more than a look can bring.  What commits late has a place before all
# that was read meanwhile, and is more than a look can bring, too.

my $late = begin(write_sql(301, 400));
my $later = begin(write_sql(401, 503));

$t->psql(write_sql(504, 1500));
wait_until(30, sub { names('/hook') > 600 });
$late->query('COMMIT');
ok(wait_until(30, sub { grep { $_ > 300 && $_ <= 400 } names('/hook') }),
   'what was committed late comes while another one is open');
$later->query('COMMIT');
came('/hook', 1, 1500, 'each event comes once, whenever it was committed');
ok(settled($id), 'the cursor follows');
cmp_ok(rows(), '<', 3 * 1500, 'most were read once');


# many writers that end in any order, endpoints that are narrow and wide

$t->psql("SELECT iclock.delete_webhook('$id')");

my %id = (narrow => hook('/narrow', concurrency => 1, batch => 3),
          wide => hook('/wide', concurrency => 8, batch => 10),
          order => hook('/order', ordered => 'true', batch => 50));

ok(wait_until(30, sub { $t->error_log() =~ /"\Q$id{$_}\E" is ours/ }),
   "nginx takes $_") for sort keys %id;
sleep 0.3;

my $start = $t->psql('SELECT max(seq) FROM iclock.event');
my @writer;

for my $part (0 .. 3) {
    push @writer, $t->pg->background(join "\n", map {
        ('BEGIN;',
         write_sql($_ * 100, $_ * 100 + ($_ % 7 ? 0 : 39)) . ';',
         'SELECT pg_sleep(' . (($_ * 7919) % 13) / 400 . ');',
         $_ % 11 ? 'COMMIT;' : 'ROLLBACK;')
    } grep { $_ % 4 == $part } 1 .. 80);
}

$_->wait() for @writer;

my @all = map { $_ * 100 .. $_ * 100 + ($_ % 7 ? 0 : 39) }
          grep { $_ % 11 } 1 .. 80;

for my $path (sort keys %id) {
    my @got;

    wait_until(60, sub { @got = names("/$path"); @got >= @all });
    is(missing(\@all, @got), 'missing: , twice: ', "$path: each event once");
    ok(settled($id{$path}), "$path: the cursor follows");
}

is(join(' ', names('/order')), join(' ', $t->psql_lines(
    "SELECT data ->> 'id' FROM iclock.event WHERE type = 10 AND seq > $start"
    . ' ORDER BY xid, seq')), 'in order, who asks for that');



# who deletes many, in an order of his own, while results are stored

my @id = sort map { hook("/gone$_") } 1 .. 2;
my $deletes = $t->pg->session();

ok(wait_until(30, sub { $t->error_log() =~ /"\Q$id[0]\E" is ours/ }),
   'nginx takes endpoints');

$deletes->query("BEGIN; SELECT iclock.delete_webhook('$id[1]')");

is($t->psql("SET lock_timeout = '30s';"
            . ' SELECT count(*) > 0 FROM iclock.webhook_endpoint e,'
            . ' iclock.webhook_lease(e.leased_by, 9)'
            . " WHERE e.id = '$id[0]'"), 't',
   'leases are renewed without waiting');

my $tells = $t->pg->background("SELECT string_agg(status, ' ') FROM"
    . ' iclock.webhook_results(\'one\', \'{"cursors": {'
    . join(', ', map { "\"$_\": \"" . '0' x 16 . '_' . '0' x 16 . '"' } @id)
    . "}}')");

ok(wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
             . " '%webhook_results(''one%' AND wait_event_type = 'Lock'")
}), 'results wait');
$deletes->query("SELECT iclock.delete_webhook('$id[0]')");
$deletes->query('COMMIT');
is($tells->wait(), 'deleted deleted', 'and nobody for them');


# Somebody has one for long: its lease ends, and nobody waits for him who has
# the others.  They are not for nginx; a clock that goes ahead has them end.

$t->psql('DO $$ BEGIN PERFORM iclock.create_webhook('
         . join('), iclock.create_webhook(',
                map { "'" . $receiver->url("/late$_") . "', '{user.updated}'" }
                    1 .. 2) . ');'
         . ' UPDATE iclock.webhook_endpoint SET leased_by = \'late\','
         . " leased_until = now() + interval '1 hour'"
         . " WHERE url LIKE '%/late_'; END \$\$");

my @late = $t->psql_lines('SELECT id FROM iclock.webhook_endpoint'
                          . " WHERE leased_by = 'late' ORDER BY id");
my $keeps = begin("SELECT id FROM iclock.webhook_endpoint"
                  . " WHERE id = '$late[1]' FOR UPDATE");

is(eval { $t->psql("SET iclock.clock = '3585 seconds';"
                   . " SET statement_timeout = '30s';"
                   . ' SELECT count(*) > 0'
                   . " FROM iclock.webhook_lease('late', 2)") } // $@, 't',
   'nobody waits for one that somebody has for long');
is($t->psql('SELECT a.leased_until > b.leased_until'
            . ' FROM iclock.webhook_endpoint a, iclock.webhook_endpoint b'
            . " WHERE a.id = '$late[0]' AND b.id = '$late[1]'"), 't',
   'and the others are leased');

# nor has who seals secrets one of them locked while he waits for another

my $seals = $t->pg->background("SELECT iclock.webhook_seal('late', '["
    . join(', ', map { qq({"id":"$_","old":"another"}) } @late) . "]')");

ok(wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
             . " '%webhook_seal(''late%' AND wait_event_type = 'Lock'")
}), 'who seals secrets waits');
is(eval { $t->psql('SELECT count(*) FROM (SELECT e.id'
                   . ' FROM iclock.webhook_endpoint e'
                   . " WHERE e.id = '$late[0]' FOR UPDATE NOWAIT) AS f") }
   // $@, 1, 'and has none locked');
$keeps->query('ROLLBACK');
$seals->wait();

$t->done();
