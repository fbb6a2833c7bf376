#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A year of 200 terminals on 20 sites in three time zones: people come, move
# and go while terminals are away, clocks change, punches get lost on the way
# and are found at night, months are dropped.  In the end every terminal holds
# the people that it should, and every punch is stored once with the right
# time.
#
# What is real: nginx and PostgreSQL, their timers, what goes over the wire.
# What is not:
# - Their clock, which the test moves: see t/clock/clock.c.
# - The terminals.  They do what Test::IClock::Terminal does, go by the time
#   that they are told, and poll when there is something for them.
# - Of the year, every thirtieth day and its night are played, and the hours
#   around each change of the clock.  What was punched before, at most ten
#   days ago, is uploaded then.
#
# Who is where is kept here, and the moments of punches are computed by the C
# library, not by PostgreSQL.  YEAR_SEED chooses another year.

use strict;
use warnings;

use FindBin;
use List::Util qw/ shuffle /;
use POSIX qw/ mktime strftime tzset /;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

use constant TERMINALS => 200;
use constant SITES => 20;
use constant PEOPLE => 5;           # of a site, at the beginning
use constant PUNCHES => 4;          # of a terminal, between two days
use constant DAY => 86400;
use constant DAYS => 12;            # of the year that are played
use constant STEP => 30 * DAY;      # from one to the next
use constant DROPPED => 9;          # the day on which months are dropped

my $seed = $ENV{YEAR_SEED} || 20260114;

note("YEAR_SEED=$seed");
srand $seed;

my @zones = qw{ America/New_York Europe/Berlin Asia/Kolkata };
my $begun = time;
my $pin = 1000;

# people of each site: { PIN => { name, card } }; the moment of each punch
# that is to be stored, by what the terminal shows and, if the terminal can
# know it, in truth
my (%people, %moment, %truth);

# terminals, by site; those that are away: { serial number => days left }
my (@terminal, %site, %away);

sub any { $_[rand @_] }
sub here { grep { !$away{$_->sn} } @_ }
sub gone { grep { $away{$_->sn} } @_ }


# time, by the C library

sub in_zone {
    my ($zone, $code) = @_;

    my $result;

    {
        local $ENV{TZ} = $zone;
        tzset();
        $result = $code->();
    }

    tzset();

    return $result;
}


sub offset_at {
    my ($zone, $moment) = @_;

    return in_zone($zone, sub {
        my @local = localtime $moment;

        # as if it were Greenwich's, which needs no division
        return in_zone('UTC', sub { mktime(@local[0 .. 5], 0, 0, 0) })
               - $moment;
    });
}


# The moment of a local time.  Of a time that comes twice the second one is
# meant, and one that the clock leaves out is of the winter: as README says.

sub moment_of {
    my ($zone, $local) = @_;

    my ($year, $month, $day, @time) = $local =~ /\d+/g;

    return in_zone($zone, sub {
        my @moment = map { mktime(@time[2, 1, 0], $day, $month - 1,
                                  $year - 1900, 0, 0, $_) } 0, 1;

        for (@moment) {
            return $_ if strftime('%Y-%m-%d %H:%M:%S', localtime $_)
                         eq $local;
        }

        return $moment[0];
    });
}


# the changes of the clock of a zone: moments

sub changes {
    my ($zone, $from, $to) = @_;

    my @change;

    for (my $day = $from; $day < $to; $day += DAY) {
        my $offset = offset_at($zone, $day);

        next if $offset == offset_at($zone, $day + DAY);

        push @change, grep { offset_at($zone, $_ - 1) == $offset
                             && offset_at($zone, $_) != $offset }
                      map { $day + 3600 * $_ } 1 .. 24;
    }

    return @change;
}


my $start = moment_of('UTC', '2026-01-14 12:00:00');
my $t = Test::IClock->new(clock => $start, settings => [
    # it would come at each leap
    [ autovacuum_naptime => '1d' ] ]);
my $clock = $t->clock;
my $session = $t->pg->session;

sub ask { $session->query(@_) }


# Moves the clock when nginx and PostgreSQL have finished what they do on their
# own, so that nothing seems to have taken all that time.

sub pass_time {
    my ($seconds) = @_;

    # longer than nginx would wait for anything: looked at several times
    my ($looks, $quiet) = ($seconds < 3000 ? 1 : 4, 0);

    wait_until(20, sub {
        $quiet = 0 if ask("SELECT pid FROM pg_stat_activity"
                          . " WHERE backend_type = 'client backend'"
                          . " AND pid <> pg_backend_pid()"
                          . " AND state IS DISTINCT FROM 'idle'");
        return ++$quiet > $looks;
    });

    $clock->to($clock->now + $seconds);

    return;
}


# All that there is for terminals that are here; half a minute a round.

sub settle {
    my ($what) = @_;

    my %by_sn = map { $_->sn => $_ } here(@terminal);

    for my $round (1 .. 200) {
        pass_time(30);

        my ($here, $sent) = (0, 0);

        for (ask(<<'END')) {
SELECT d.serial_number, bool_or(w.status = 'queued')
  FROM (SELECT c.device_id, c.status FROM iclock.command c
         WHERE c.status = 'sent' OR c.status = 'queued'
               AND (c.not_before IS NULL OR c.not_before <= now())
        UNION ALL
        SELECT b.target_id, 'queued' FROM iclock.share_backlog b) w
  JOIN iclock.device d ON d.id = w.device_id
 GROUP BY 1 ORDER BY 1
END
            my ($sn, $queued) = split /\|/;
            my $terminal = $by_sn{$sn} or next;

            $queued eq 't' ? $here++ : $sent++;
            $terminal->work();
        }

        return 1 if !$here && !$sent;

        # what was not answered is sent again after ten minutes
        pass_time(600) if $sent && !$here;
    }

    return fail("$what: no end");
}


# people

sub enroll {
    my ($site, $at) = @_;

    my $new = ++$pin;
    my $who = { name => "Person $new", card => 100_000 + $new };

    my $how = $away{$at->sn} ? 'keep' : 'enroll';

    $at->$how($new, %$who, fingers => { 6 => "finger of $new" });
    $people{$site}{$new} = $who;

    return;
}


sub change_people {
    for my $site (shuffle(sort keys %site)) {
        my @here = here(@{$site{$site}}) or next;
        my @away = gone(@{$site{$site}});
        my $people = $people{$site};

        # somebody comes, perhaps at a terminal that nobody can reach
        enroll($site, any(@here)) if rand() < 0.3;
        enroll($site, any(@away)) if @away && rand() < 0.2;

        # somebody goes
        if (rand() < 0.25 && keys %$people > 4) {
            my $who = any(sort keys %$people);

            ask("SELECT iclock.delete_user_from_site('$site', '$who')");
            delete $people->{$who};
        }

        # somebody moves
        if (rand() < 0.2 && keys %$people > 4) {
            my $to = any(grep { $_ ne $site } sort keys %site);
            my $from = any(@here);
            my @can = grep { $people->{$_} } sort keys %{$from->{users}}
                or next;
            my $who = any(@can);

            ask(sprintf "SELECT iclock.copy_user_to_site('%s', '%s', '%s');"
                        . " SELECT iclock.delete_user_from_site('%s', '%s')",
                $who, $from->sn, $to, $site, $who);
            $people{$to}{$who} = delete $people->{$who};
        }
    }

    return;
}


# punches

sub punch {
    my ($terminal, $at, $lost) = @_;

    my $local = $terminal->shows($at);
    my $who = any(sort(keys %{$terminal->{users}}), 999);
    my $key = $terminal->sn . "|$who|$local";

    return if $moment{$key};

    my $zone = $terminal->{zone};
    my $offset = offset_at($zone, $at);

    $moment{$key} = moment_of($zone, $local);

    # what nobody can know: which of two hours it was, and what time it was in
    # truth when the terminal was away while clocks changed
    $truth{$key} = $at if $offset == 60 * $terminal->{utc_offset}
                          && $offset <= offset_at($zone, $at + 3600);

    push @{$terminal->{punches}}, {
        pin => $who, time => $local, status => 0, verify => 1,
        withhold => $lost };

    return;
}


# What was punched since the last time, up to now.  Some of it is never sent,
# and some twice.

sub punches {
    my ($terminal, $from, $n) = @_;

    my $to = $clock->now;

    # not in the nights after the last day, when nginx has asked already: what
    # is from before that is not asked for again, nor after 31 days
    $from = $to - 10 * DAY if $to - $from > 10 * DAY;

    for (1 .. $n) {
        my $at = int($from + rand($to - $from));

        # many in the last hour, in which the clock may be about to change
        $at = $to - int rand 3600 if rand() < 0.3 && $to - $from > 3600;

        punch($terminal, $at, !$away{$terminal->sn} && rand() < 0.05);
    }

    return if $away{$terminal->sn};

    my @new = grep { !$_->{sent} && !$_->{withhold} }
              @{$terminal->{punches}};

    for (1 .. (rand() < 0.1 ? 2 : 1)) {
        my $r = $terminal->_send_punches(@new) or last;

        die $r->text if $r->text ne '200 OK: ' . @new;
    }

    return;
}


# Terminals come back with what they have kept: everybody once more, whoever
# has gone meanwhile.  Others go.

sub come_and_go {
    my ($until_the_end) = @_;

    for my $terminal (gone(@terminal)) {
        next if --$away{$terminal->sn} && !$until_the_end;

        delete $away{$terminal->sn};
        $terminal->online();
        $terminal->upload_punches();
        $terminal->upload_people();
    }

    return if $until_the_end;

    $away{$_->sn} = 1 + int rand 2 for grep { rand() < 0.1 } here(@terminal);

    return;
}


# the fleet

my %zone_of_site;

for my $n (0 .. SITES - 1) {
    my $name = sprintf 'Site %02d', $n;

    $zone_of_site{$name} = $zones[$n % @zones];
    $site{$name} = [];
}

$t->psql(join ';', map({ "SELECT iclock.set_site('$_', share_people => true)" }
                       sort keys %site),
         map { my ($n, $site) = ($_, (sort keys %site)[$_ % SITES]);
               sprintf "SELECT iclock.register_device('YEAR%04d', site =>"
                       . " '%s', timezone => '%s', dialect => '%s')",
                       $n, $site, $zone_of_site{$site},
                       $n % 4 ? '2.4' : '3.2' } 0 .. TERMINALS - 1);

# no request is to seem late because the clock was moved
$t->start($t->device_server(http => 'iclock_verify_interval 1d;',
                            pool => 'timeout=1h connect_timeout=1h'));

for my $n (0 .. TERMINALS - 1) {
    my $name = (sort keys %site)[$n % SITES];
    my $terminal = $t->terminal(sprintf('YEAR%04d', $n),
                                zone => $zone_of_site{$name},
                                patience => 60, echoes => $n % 9 == 0,
                                dialect => $n % 4 ? '2.4' : '3.2');

    push @{$site{$name}}, $terminal;
    push @terminal, $terminal;
    $terminal->online();
}

my @changes = map { my $zone = $_;
                    map { [ $_, $zone ] }
                    changes($zone, $start, $start + DAYS * STEP) } @zones;

is(join(' ', map { strftime('%m-%d', gmtime $_->[0]) } @changes),
   '03-08 11-01 03-29 10-25', 'four changes of the clock in two of the zones');

for my $site (sort keys %site) {
    enroll($site, any(@{$site{$site}})) for 1 .. PEOPLE;
}

settle('the beginning');


# the clocks of a zone change

sub change_clocks {
    my ($at, $zone, $from) = @_;

    my @here = grep { $_->{zone} eq $zone } here(@terminal);

    pass_time($at - 60 - $clock->now);
    punches($_, $from, PUNCHES) for @here;

    # nginx looks once a minute; who asks for the time asks once an hour
    my $offset = offset_at($zone, $at);

    wait_until(60, sub {
        pass_time(30);
        return !ask('SELECT DISTINCT 1 FROM iclock.device WHERE'
                    . " timezone = '$zone' AND told_offset <> $offset / 60");
    });
    settle("clocks change in $zone");
    $_->ask_time() for grep { $_->{dialect} eq '3.2' } @here;

    is(scalar(grep { 60 * $_->{utc_offset} != $offset } @here), 0,
       strftime("%Y-%m-%d: all in $zone know", gmtime $at));

    my $told = $clock->now;

    pass_time(5400);
    punches($_, $told, PUNCHES) for @here;

    return;
}


# It is night in all of the zones: nginx asks each terminal what it holds.

sub night {
    my ($name) = @_;

    for (1 .. 4) {
        pass_time(6 * 3600);
        settle("$name: the night");
    }

    return;
}


# what terminals that are here have not been asked for

sub lost {
    return grep { $_->{withhold} && !$_->{sent} }
           map { @{$_->{punches}} } here(@terminal);
}


# a terminal with such a punch, and what it was asked for

sub what_was_asked {
    my ($terminal) = @_;

    my @lost = map { "$_->{pin} $_->{time}" }
               grep { $_->{withhold} && !$_->{sent} } @{$terminal->{punches}}
        or return;

    return map { "$_\n" } $terminal->sn . ", $terminal->{zone}: @lost",
        ask('SELECT k.id, k.starts, k.ends, k.status, k.attempts,'
            . ' k.device_count, k.stored_count, k.created_at, k.finished_at'
            . ' FROM iclock.attendance_check k JOIN iclock.device d'
            . ' ON d.id = k.device_id WHERE d.serial_number = '
            . "'" . $terminal->sn . "' ORDER BY k.id DESC LIMIT 12");
}


# the year

my $last = $clock->now;
my %since = map { $_ => $last } @zones;

for my $day (1 .. DAYS) {
    my $noon = $start + $day * STEP;

    for (sort { $a->[0] <=> $b->[0] } @changes) {
        my ($at, $zone) = @$_;

        next if $at <= $last || $at > $noon;

        change_clocks($at, $zone, $since{$zone});
        $since{$zone} = $clock->now;
    }

    $last = $noon;
    pass_time($noon - $clock->now);

    my $name = strftime('%Y-%m-%d', gmtime $noon);

    come_and_go($day == DAYS);
    change_people();
    punches($_, $since{$_->{zone}}, PUNCHES) for @terminal;
    $since{$_} = $clock->now for @zones;
    settle("$name: the day");

    # months are dropped, and terminals that still hold them change nothing

    if ($day == DROPPED) {
        my $n = grep { (split /\|/)[2] lt '2026-05-01' } keys %moment;

        is((ask("SELECT count(*) FROM iclock.punch"
                . " WHERE local_time < '2026-05-01'"))[0],
           scalar(grep { $_->{sent} && $_->{time} lt '2026-05-01' }
                  map { @{$_->{punches}} } @terminal),
           "$name: four months are stored");
        cmp_ok($n, '>', 1500, "$name: with many punches");
        is($t->psql("SELECT iclock.drop_before('2026-05-01')"), 0,
           "$name: they are dropped");
        delete @moment{grep { (split /\|/)[2] lt '2026-05-01' } keys %moment};
    }

    # a terminal that was still to be asked for an earlier night is asked for
    # this one a night later
    for (1 .. 3) {
        night($name);
        last if !lost();
    }

    note(sprintf '%s: %d away, %.0f s', $name, scalar keys %away,
         time - $begun);
}

for my $terminal (@terminal[map { $_ * 10 } 0 .. TERMINALS / 10 - 1]) {
    $terminal->_send_punches(@{$terminal->{punches}});
}


# the balance

my $wrong = 0;

for my $site (sort keys %site) {
    my $people = $people{$site};
    my $want = join ' ', map { "$_/$people->{$_}{name}/$people->{$_}{card}" }
                         sort keys %$people;

    for my $terminal (@{$site{$site}}) {
        my $users = $terminal->{users};
        my $got = join ' ', map { "$_/$users->{$_}{name}/$users->{$_}{card}" }
                            sort keys %$users;

        next if $got eq $want;

        diag($terminal->sn . " of $site holds\n$got\nand not\n$want")
            if $wrong++ < 3;
    }
}

is($wrong, 0, 'every terminal holds the people that it should');

is(scalar(grep { my $terminal = $_;
                 grep { join(' ', $terminal->templates($_)) ne '1/6/0/10' }
                 keys %{$terminal->{users}} } @terminal), 0,
   'and their fingers');

is($t->psql("SELECT string_agg(DISTINCT status, ' ') FROM"
            . " (SELECT DISTINCT ON (serial_number) status"
            . " FROM iclock.reconciliation WHERE finished_at IS NOT NULL"
            . " ORDER BY serial_number, id DESC) r"),
   'agreed resent', 'server and terminals agree');

is(scalar(() = lost()), 0, 'and nothing is left to ask for')
    or diag(map { what_was_asked($_) } here(@terminal));

my (%stored, @twice);

for ($t->psql_lines("SELECT serial_number, pin, local_time,"
                    . " extract(epoch FROM punched_at)::bigint"
                    . " FROM iclock.punch p"
                    . " JOIN iclock.device d ON d.id = p.device_id"))
{
    my ($key, $moment) = /^(.*)\|(\d+)$/;

    push @twice, $key if exists $stored{$key};
    $stored{$key} = $moment;
}

cmp_ok(scalar keys %moment, '>', 5000, 'there are many punches');
is(scalar @twice, 0, 'no punch is stored twice');
is(scalar(grep { !exists $stored{$_} } keys %moment), 0,
   'every punch is stored');
is(scalar(grep { !exists $moment{$_} } keys %stored), 0,
   'and nothing else');

sub list {
    my ($what, @key) = @_;

    is(scalar @key, 0, $what)
        or diag(map { "$_: $stored{$_} and not $moment{$_}\n" }
                @key[0 .. ($#key < 9 ? $#key : 9)]);

    return;
}

list('each at the moment that the terminal showed',
     grep { exists $stored{$_} && $stored{$_} != $moment{$_} }
     sort keys %moment);
list('which is the one in truth, unless the terminal cannot know',
     grep { exists $stored{$_} && exists $truth{$_}
            && $stored{$_} != $truth{$_} } sort keys %moment);
cmp_ok(scalar(grep { exists $truth{$_} } keys %moment), '>',
       0.9 * keys %moment, 'which is rare');

note(sprintf '%d punches, %d commands, %.0f s', scalar keys %stored,
     $t->psql('SELECT count(*) FROM iclock.command'), time - $begun);

$t->done();
