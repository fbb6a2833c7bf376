#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Webhooks that HR systems take as they are: those of docs/integrate.md, called
# against what the public source of Frappe HR and Odoo checks
# (t/fixtures/hr.py).

use strict;
use warnings;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp spawn /;

my $t = Test::IClock->new();
my ($doc) = slurp("$FindBin::Bin/../docs/integrate.md")
            =~ /^## HR systems\n(.*?)^## /ms;

sub put {
    my ($name, $text) = @_;

    my $file = $t->dir . "/$name";

    open my $f, '>:raw', $file or die "$file: $!";
    print $f $text;
    close $f;

    return $file;
}

$t->pg->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());

# a slow machine has a minute for a statement

$t->start($t->device_server(http => <<'END', server => <<'END'));
    iclock_pool timeout=1m;
    iclock_api_pool timeout=1m;
    iclock_timezone Asia/Kolkata;
    iclock_webhooks on;
    iclock_webhook_http on;
    iclock_webhook_allow 127.0.0.0/8;
END
        location /v1 {
            iclock_api;
        }
END


# the systems, with the rule of Odoo as it stands there

my ($target) = $doc =~ /^ {7}(model\.search\(.*\))$/m;
my ($rule) = $doc =~ /^ {3}```python\n(.*?)^ {3}```$/ms;

like($target, qr/barcode/, 'how the rule of Odoo finds an employee');
$rule =~ s/^ {3}//gm;

my $got = put('got', '');
my $port = $t->nginx->free_port();
my $log = $t->dir . '/hr.log';
my $pid = spawn({ out => $log }, 'setpriv', '--pdeathsig', 'KILL', '--',
                'python3', "$FindBin::Bin/fixtures/hr.py", $port, $got,
                put('rule', "$target\n$rule"));

ok(wait_until(30, sub { eval { $t->connect(port => $port)->close(); 1 } }),
   'the systems listen') or diag(slurp($log));


# the webhooks: commands as they stand there, but for addresses and keys

my @command = map { s/^ {3}//gmr } $doc =~ /^ *```sh\n(.*?)^ *```$/gms;

is(scalar @command, 3, 'three webhooks');

my $key = $t->psql("SELECT iclock.create_api_key('hr',"
                   . " ARRAY['webhooks:manage'])");
my %hook;

for my $i (0 .. 2) {
    my $text = $command[$i];
    my ($base, $out) = ('http://127.0.0.1:' . $t->port . '/v1',
                        $t->dir . "/made$i");

    $text =~ s!https://[\w.]+!http://127.0.0.1:$port!;
    $text =~ s!<api_key>:<api_secret>!0123456789abcde:edcba9876543210!;
    $text =~ s!<api key>!'0' x 39 . 1!e;

    my $made = {};

    # the first one is refused while maintain() holds what events are to be
    # written of

    wait_until(60, sub {
        unlink $out;
        command({ out => $out, env => { BASE => $base, KEY => $key } }, 'bash',
                put("command$i", $text));

        my ($json) = slurp($out) =~ /(\{.*\})/;

        $made = eval { decode_json($json) } || {};
        return $made->{secret};
    });

    like($made->{secret} // '', qr/^whsec_/, 'a webhook') or diag(slurp($out));
    $hook{(qw/ frappe odoo json2 /)[$i]} = $made->{id} // 'none';
}

unlike($t->get("/v1/webhooks/$hook{frappe}", Authorization => "Bearer $key")
          ->body, qr/edcba9876543210/, 'the key of Frappe is not shown');


# a day of two people, and of one whom nobody knows

my $terminal = $t->terminal('HRDEVICE1');

$terminal->online();
$terminal->punches([ 'EMP_001', '2026-11-20 09:00:00', 0, 1 ],
                   [ '7', '2026-11-20 09:05:10', 0, 15 ]);
$terminal->punches([ 'EMP_001', '2026-11-20 17:30:00', 1, 1 ],
                   [ '7', '2026-11-20 18:00:00', 255, 1 ]);

sub records {
    my ($system) = @_;

    return join '', sort map { "$_\n" } grep { s/^\Q$system\E // }
                              split /\n/, slurp($got);
}

my $frappe = <<'END';
HR-EMP-00001 2026-11-20T09:00:00 IN HRDEVICE1
HR-EMP-00001 2026-11-20T17:30:00 OUT HRDEVICE1
HR-EMP-00002 2026-11-20T09:05:10 IN HRDEVICE1
HR-EMP-00002 2026-11-20T18:00:00 - HRDEVICE1
END
my $odoo = <<'END';
1 in 2026-11-20T03:30:00
1 out 2026-11-20T12:00:00
7 in 2026-11-20T03:35:10
7 out 2026-11-20T12:30:00
END

ok(wait_until(30, sub { records('frappe') eq $frappe }),
   'Frappe HR: checkins in local time, with a direction where there is one')
    or is(records('frappe'), $frappe, 'these');
ok(wait_until(30, sub { records('odoo') eq $odoo }),
   'Odoo: attendances, in UTC') or is(records('odoo'), $odoo, 'these');
ok(wait_until(30, sub { split(/\n/, records('json2')) == 4 }),
   'Odoo, JSON-2: a record for each');
like(records('json2'), qr/^EMP_001 IN 2026-11-20 03:30:00 HRDEVICE1 evt_\w+$/m,
     'of that kind');


# the same event once more, as after an answer that was lost

sub again {
    my ($system) = @_;

    my $event = wait_until(30, sub { $t->psql(
        "SELECT event_id FROM iclock.webhook_attempt WHERE endpoint_id ="
        . " '$hook{$system}' AND status = 200 ORDER BY at LIMIT 1") });

    $t->psql("SELECT iclock.resend_webhook('$hook{$system}',"
             . " ARRAY['$event'])");

    return wait_until(30, sub { $t->psql(
        "SELECT max(status) FROM iclock.webhook_attempt WHERE endpoint_id ="
        . " '$hook{$system}' AND event_id = '$event' HAVING count(*) > 1") });
}

is(again('odoo'), 200, 'Odoo: the same event once more is taken');
is(records('odoo'), $odoo, 'and is no other attendance');
is(again('frappe'), 417, 'Frappe HR: it is refused, which does no harm');


# what is refused is told, and holds up nothing in Frappe

$terminal->punches([ 'NOBODY', '2026-11-20 19:00:00', 0, 1 ]);
$terminal->punches([ '7', '2026-11-20 19:00:00', 1, 1 ]);

ok(wait_until(30, sub { records('frappe') =~ /T19:00:00 OUT/ }),
   'Frappe HR: the next one arrives');
ok(wait_until(30, sub { $t->psql(
       "SELECT count(*) FROM iclock.webhook_attempt WHERE status = 417"
       . " AND response LIKE '%No Employee found: NOBODY%'") > 0 }),
   'and the attempts tell why one does not');

kill 'KILL', $pid;
waitpid $pid, 0;

$t->done();
