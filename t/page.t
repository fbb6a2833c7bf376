#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# How the console page is served: bytes, headers, the directive.  What the page
# does in a browser is the business of console.t.

use strict;
use warnings;

use Digest::SHA qw/ sha256_base64 /;
use File::Path qw/ make_path /;
use FindBin;
use IO::Uncompress::Gunzip qw/ gunzip $GunzipError /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new(pg => 0);
my $root = "$FindBin::Bin/..";

my $dir = $t->dir;

system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
       . " -keyout $dir/key.pem -out $dir/cert.pem 2>/dev/null") == 0
    or die "openssl failed";

sub configuration {
    my ($location) = @_;

    return <<"CONF";
gzip on;
gzip_vary on;
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT_2%% ssl;
    ssl_certificate $dir/cert.pem;
    ssl_certificate_key $dir/key.pem;

$location
}
CONF
}

$t->start(configuration(<<'CONF'));
    location /console {
        iclock_console;
    }
    location /other/ {
        iclock_console 'api=/x"<&>/v1' terminals=http://10.0.0.5:8081;
    }
    location = /exact {
        iclock_console api=/;
    }
    location /plain {
        add_header X-Other here always;
        error_page 404 405 = @other;
        iclock_console;
    }
    location @other {
        return 418;
    }
CONF


# one page, in two ways

my $plain = $t->get('/console');
my $zipped = $t->get('/console', 'Accept-Encoding' => 'gzip');

is($plain->status, 200, 'the page is there');
is($plain->header('Content-Type'), 'text/html; charset=utf-8', 'as a page');
like($plain->body, qr/\A<!doctype html>.*<\/html>\s*\z/s, 'the whole of it');
is($plain->header('Content-Encoding'), undef, 'as it is');
is($zipped->header('Content-Encoding'), 'gzip', 'or compressed');

my $body = $zipped->body;
my $got;

ok(gunzip(\$body => \$got, Strict => 1, TrailingData => my $left),
   'what is compressed is sound') or diag($GunzipError);
ok($got eq $plain->body, 'and has the same bytes');

cmp_ok(length $plain->body, '<=', 250_000, 'at most 250 kB');
cmp_ok(length $zipped->body, '<=', 72_000, 'at most 72 kB compressed');
note(length($plain->body) . ' bytes, ' . length($zipped->body)
     . ' compressed');

for (['gzip', 1], ['br, GZIP;q=0.5', 1], ['deflate, gzip ; q=1', 1],
     ['gzip;q=0', 0], ['gzip;q=0.000, br', 0], ['gzipped', 0], ['x-gzip', 0],
     ['', 0], ['identity', 0], [',,gzip', 1])
{
    my ($accept, $expected) = @$_;
    my $r = $t->get('/console', 'Accept-Encoding' => $accept);

    is($r->header('Content-Encoding'), $expected ? 'gzip' : undef,
       "Accept-Encoding: $accept");
}


# headers

my %expected = (
    'X-Frame-Options' => 'DENY',
    'X-Content-Type-Options' => 'nosniff',
    'Referrer-Policy' => 'no-referrer',
    'Cross-Origin-Resource-Policy' => 'same-origin',
    'Cross-Origin-Opener-Policy' => undef,
    'Permissions-Policy' => 'camera=(), microphone=(), geolocation=(), '
                            . 'usb=(), payment=()',
    'Cache-Control' => 'no-cache',
    'Vary' => 'Accept-Encoding',
);

sub element {
    my ($tag) = @_;

    my @found = $plain->body =~ m!<$tag>(.*?)</$tag>!sg;

    is(scalar @found, 1, "one $tag");

    my $hash = sha256_base64($found[0]);

    $hash .= '=' while length($hash) % 4;

    return "'sha256-$hash'";
}

$expected{'Content-Security-Policy'} =
    "default-src 'none'; script-src " . element('script') . '; style-src '
    . element('style') . "; img-src data:; connect-src 'self'; "
    . "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    . "require-trusted-types-for 'script'; trusted-types 'none'";

my %answer = (
    'GET' => $plain,
    'gzip' => $zipped,
    'HEAD' => $t->get('/console', -method => 'HEAD'),
    'HTTP 304' => $t->get('/console',
                           'If-None-Match' => $plain->header('ETag')),
    '404' => $t->get('/console/else'),
    '405' => $t->post('/console', 'x'),
);

for my $name (sort keys %answer) {
    for (sort keys %expected) {
        my $value = $answer{$name}->header($_);

        # nginx adds its own where it has compressed, or would have
        $value =~ s/, Accept-Encoding\z// if defined $value && $_ eq 'Vary';
        is($value, $expected{$_}, "$name: $_");
    }
}

my $tls = 'https://127.0.0.1:' . $t->port(2) . '/console';
my $head = `curl -sk --max-time 20 -o /dev/null -D - $tls`;

like($head, qr/^Cross-Origin-Opener-Policy: same-origin\r$/m,
     'over TLS it has the process to itself');
is(() = $head =~ /^(?:Content-Security-Policy|ETag|Referrer-Policy):/mg, 3,
   'and each header once');

is($answer{HEAD}->body, '', 'HEAD: no body');
is($answer{HEAD}->header('Content-Length'), length $plain->body,
   'HEAD: its length');
is($answer{'HTTP 304'}->text, '304 ', '304: no body');
is($answer{404}->status, 404, '404 behind it');
is($answer{405}->status, 405, 'it can be read only');
is($answer{405}->header('Allow'), 'GET, HEAD', 'and says so');

isnt($plain->header('ETag'), $zipped->header('ETag'),
     'the two ways have tags of their own');
is($t->get('/console', 'Accept-Encoding' => 'gzip',
       'If-None-Match' => $plain->header('ETag'))->status, 200,
   'one is not taken for the other');


# where it is

is($t->get($_)->status, 200, "$_: there")
    for qw! /console /console/ /console?a=b /other/ /exact !;
is($t->get($_)->status, 404, "$_: not there")
    for qw! /consolex /console/x /other/x /other/index.html !;

my $other = $t->get('/other/');

sub setting {
    my ($page, $name) = @_;

    return $page->body =~ /<meta name="iclock-$name" content="(.*?)">/
           ? $1 : undef;
}

is(setting($other, 'api'), '/x&quot;&lt;&amp;&gt;/v1',
   'the path of the API, escaped');
is(setting($other, 'terminals'), 'http://10.0.0.5:8081',
   'the address of terminals');
is(setting($plain, 'api'), '/v1', 'by default');
is(setting($plain, 'terminals'), '', 'by default');
is($other->header('Content-Security-Policy'),
   $expected{'Content-Security-Policy'}, 'the policy is the same');
isnt($other->header('ETag'), $plain->header('ETag'), 'the tag is not');

is($t->get('/plain/x')->status, 404, 'error_page takes nothing away');
is($t->get('/plain')->header('X-Other'), 'here', 'add_header adds');


# the directive

sub refused {
    my ($location, $pattern) = @_;

    my ($status, $said) = $t->nginx_t(configuration($location));

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status != 0 && $said =~ /\[emerg\].*$pattern/, "refused: $location")
        or diag($said);
}


refused("location /a { iclock_console $_; }", 'iclock_console')
    for 'api=v1', 'api=', 'api=//evil.example/v1', 'api=/v1?x', 'api=/v1#x',
        "'api=/v 1'", 'api=https://x/v1', 'api=/\\evil', 'terminals=10.0.0.5',
        'terminals=ftp://x', "'terminals=http://x y'", 'else=1',
        'api=/v1 api=/v2';
refused('location /a { iclock_console; iclock_console; }', 'is duplicate');
refused('location ~ ^/a { iclock_console; }', 'needs a location');
refused('location @a { iclock_console; }', 'needs a location');
refused('iclock_console;', 'not allowed here');


# what the sources must not have

sub check {
    my ($name, $text) = @_;

    my $dir = $t->dir . '/planted';

    make_path("$dir/tools", "$dir/src/console/page");
    system('cp', '-r', "$root/src/console/page", "$dir/src/console/");
    system('cp', "$root/tools/console-page", "$dir/tools/");

    if (defined $text) {
        open my $out, '>', "$dir/src/console/page/99-planted.js" or die $!;
        print $out "$text\n";
        close $out;
    }

    my $said = `$dir/tools/console-page --check 2>&1`;
    my $status = $?;

    system('rm', '-r', $dir);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(defined $text ? $status != 0 && $said =~ /planted|name/ : $status == 0,
       $name) or diag($said);
}


check('the sources have nothing of what is refused');

check("refused: $_", $_)
    for 'a.innerHTML = b;', 'a.outerHTML = b;',
        'a.insertAdjacentHTML("beforeend", b);', 'document.write(b);',
        'new DOMParser();', 'a.createContextualFragment(b);',
        'a.setHTMLUnsafe(b);', 'eval (b);', 'new Function (b);',
        'setTimeout("b", 1);', 'a.onclick = b;',
        'const c = "<a onclick=\"b\">";',
        'a.style.cssText = b;', 'a.setAttribute("style", b);',
        'const c = "javascript:b";', 'a.srcdoc = b;', 'import ("b");',
        'localStorage.a = b;', 'const c = "</script>";',
        'function api() {}', "const c = `b\nb`;",
        "words({ 'nav.fleet': 'b' });";


# README.md has what the page is allowed to take in a browser

sub rows {
    my ($file, $part, $row) = @_;

    my ($rows) = slurp("$root/$file") =~ $part;
    my @found;

    push @found, "$1: $2 $3" while $rows =~ /$row/g;
    s/(\d),(?=\d)/$1/g for @found;

    return \@found;
}

my $budgets = rows('t/console/load.js', qr/^const budgets = \[\n(.*?)^\];/ms,
                   qr/^ +\['([^']+)', ([\d.]+), '([^']*)'\],$/m);

cmp_ok(@$budgets, '>', 10, 'the page has budgets');
is_deeply(rows('README.md', qr/^`make bench-console`(.*?)\n\n\n/ms,
               qr/^\| (.+?) +\| ([\d.,]+) ?(\S*) +\|$/m),
          $budgets, 'README.md has them');

$t->done();
