package Test::IClock::Receiver;

# Copyright (C) the ngx_http_iclock_module authors

# A receiver of webhooks in a process of its own.  It keeps every request and
# answers what it was told to, many at once.
#
#   my $r = $t->receiver();
#   $r->url('/hook');                       # http://127.0.0.1:<port>/hook
#   $r->answer('/hook', { status => 500, times => 3 }, { status => 204 });
#   $r->wait_for(4, '/hook');
#   my @request = $r->requests('/hook');
#   ok($r->verified($request[0], $secret));
#   $r->https($certificate, '/hook');       # the same receiver behind TLS
#
# Answers of a path are taken one after the other, the last one again and
# again; '*' is for paths without answers of their own, and begins as 200.
#
#   status, body, headers ({ name => value })      200, "", {}
#   delay     seconds before the answer
#   times     so many requests get this answer (default 1, the last: all)
#   when      only for requests that have this text; does not count as a turn
#   size      so many bytes as body, as fast as they are read
#   trickle   seconds between bytes of the answer
#   heed      1: a piece at a time, the next one when the peer, on this machine
#             and by IPv4, has read those before
#   raw       these bytes instead of an answer; the connection is closed then
#   endless   behind that, these bytes again and again
#   partial   so many bytes of the answer, then the connection is closed
#   close     1: the connection is closed after the answer
#   action    "close", "reset": no answer; "hang": none, and it stays open
#
# A request: n (order of completeness, from 1), path, method, head, headers
# (names in lower case), body, time (of its last byte), begun (of its first
# byte), connection (number, from 1), nth (on this connection), status (of the
# answer; 0: none), sent (bytes of the answer that the kernel took).

use strict;
use warnings;

use Carp qw/ croak /;
use Digest::SHA qw/ hmac_sha256 hmac_sha256_hex /;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw/ decode_base64 encode_base64 /;
use POSIX ();
use Socket qw/ AF_UNIX IPPROTO_TCP PF_UNSPEC SOCK_STREAM SOL_SOCKET SO_LINGER
               TCP_NODELAY /;
use Time::HiRes qw/ time /;

use Test::IClock::Process qw/ command wait_until /;

use constant BUFFER => 65536;

my $json = JSON::PP->new->ascii->canonical;


# options: port, address (default 127.0.0.1), dir (for https)

sub new {
    my ($class, %option) = @_;

    my $address = $option{address} || '127.0.0.1';
    my $listen = _listen($address, $option{port})
        or croak "receiver cannot listen on port $option{port}: $!";

    my ($parent, $child);

    socketpair $parent, $child, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or croak "socketpair: $!";

    my $pid = fork;
    croak "fork: $!" if !defined $pid;

    if ($pid == 0) {
        close $parent;
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        $SIG{PIPE} = 'IGNORE';
        eval { _serve($listen, $child, $address, $option{port}) }
            or warn "receiver: $@";
        POSIX::_exit(0);
    }

    close $child;
    close $listen;
    $parent->autoflush(1);

    return bless { pid => $pid, control => $parent, port => $option{port},
                   address => $address, dir => $option{dir}, creator => $$,
                   nginx => [] }, $class;
}


sub _listen {
    my ($address, $port) = @_;

    return IO::Socket::INET->new(LocalAddr => $address, LocalPort => $port,
                                 Listen => 1024, ReuseAddr => 1,
                                 Proto => 'tcp', Blocking => 0);
}


sub port { $_[0]{port} }
sub url { "http://$_[0]{address}:$_[0]{port}" . ($_[1] || '/') }


sub _ask {
    my ($self, $verb, @argument) = @_;

    print {$self->{control}} $json->encode([ $verb, @argument ]), "\n";

    my $answer = readline $self->{control};
    croak "the receiver is gone" if !defined $answer;

    return $json->decode($answer);
}


sub answer {
    my ($self, $path, @answer) = @_;

    for my $answer (@answer) {
        my @bad = grep { !/^(?:status|body|headers|delay|times|when|size
                              |trickle|heed|raw|endless|partial|close
                              |action)\z/x }
                  keys %$answer;
        croak "no such answer: @bad" if @bad;
    }

    $self->_ask('answer', $path, \@answer);

    return $self;
}


# those of a path, or all, from the n-th of the list on (0: all)

sub requests {
    my ($self, $path, $from) = @_;

    return @{$self->_ask('requests', $path, $from || 0)};
}


sub count {
    my ($self, $path) = @_;

    return $self->_ask('count', $path);
}


# waits until at least n requests were complete; returns how many

sub wait_for {
    my ($self, $n, $path, $seconds) = @_;

    wait_until($seconds || 30, sub { $self->count($path) >= $n });

    return $self->count($path);
}


# forgets requests; answers stay

sub clear {
    my ($self) = @_;

    $self->_ask('clear');

    return $self;
}


# down: connections are closed, new ones are refused; up: as before

sub down { my ($self) = @_; $self->_ask('down'); return $self }
sub up { my ($self) = @_; $self->_ask('up') or croak 'up'; return $self }


# frozen, nothing is read or accepted, but the kernel still takes connections

sub freeze { kill 'STOP', $_[0]{pid}; return $_[0] }
sub thaw { kill 'CONT', $_[0]{pid}; return $_[0] }


# { connections, open, most, answering }: accepted since the start, open now,
# most requests that waited for their answer at a time, and such now

sub stats { $_[0]->_ask('stats') }


# The same receiver behind TLS: the port of an nginx that passes requests on.
# The certificate is one of certificate().

sub https {
    my ($self, $certificate, $path, %option) = @_;

    require Test::IClock::Nginx;

    my $dir = $self->{dir} . '/front' . @{$self->{nginx}};
    my $nginx = Test::IClock::Nginx->new($dir);
    my $name = $option{name} || 'localhost';

    push @{$self->{nginx}}, $nginx;

    $nginx->start(<<END, module => 0, workers => 1);
    upstream receiver {
        server $self->{address}:$self->{port};
        keepalive 64;
    }
    server {
        listen 127.0.0.1:%%PORT%% ssl;
        ssl_certificate $certificate.crt;
        ssl_certificate_key $certificate.key;
        client_max_body_size 64m;
        keepalive_requests 100000;
        location / {
            proxy_pass http://receiver;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host \$http_host;
            proxy_read_timeout 600s;
            proxy_buffering off;
        }
    }
END

    return "https://$name:" . $nginx->port() . ($path || '/');
}


# Makes <dir>/<name>.crt and .key, and returns the path without its end.
# Options: host (default localhost; also 127.0.0.1), expired, self (signed by
# itself).  Who is to be believed is <dir>/ca.crt.

sub certificate {
    my ($self, $name, %option) = @_;

    my $dir = $self->{dir};
    my $host = $option{host} || 'localhost';
    my $san = "DNS:$host" . ($host eq 'localhost' ? ',IP:127.0.0.1' : '');
    my @key = qw/ -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes /;
    my $run = sub {
        command({ out => "$dir/openssl.log" }, 'openssl', @_) == 0
            or croak "openssl failed, see $dir/openssl.log";
    };

    if ($option{self}) {
        $run->('req', '-x509', @key, '-days', 2, '-subj', "/CN=$host",
               '-addext', "subjectAltName=$san",
               '-keyout', "$dir/$name.key", '-out', "$dir/$name.crt");
        return "$dir/$name";
    }

    if (!-e "$dir/ca.crt") {
        $run->('req', '-x509', @key, '-days', 2, '-subj', '/CN=Tests',
               '-keyout', "$dir/ca.key", '-out', "$dir/ca.crt");
        chmod 0644, "$dir/ca.crt";

        _write("$dir/ca.index", '');
        _write("$dir/ca.conf", <<END);
[ca]
default_ca = tests
[tests]
database = $dir/ca.index
new_certs_dir = $dir
certificate = $dir/ca.crt
private_key = $dir/ca.key
default_md = sha256
rand_serial = yes
unique_subject = no
policy = any
copy_extensions = copy
[any]
commonName = supplied
END
    }

    my @days = $option{expired} ? qw/ -startdate 20200101000000Z
                                      -enddate 20200102000000Z /
                                : qw/ -days 2 /;

    $run->('req', '-new', @key, '-subj', "/CN=$host",
           '-addext', "subjectAltName=$san",
           '-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
    $run->('ca', '-batch', '-notext', '-config', "$dir/ca.conf", @days,
           '-in', "$dir/$name.csr", '-out', "$dir/$name.crt");

    return "$dir/$name";
}


sub ca { "$_[0]{dir}/ca.crt" }


sub _write {
    my ($file, $text) = @_;

    open my $out, '>:raw', $file or croak "$file: $!";
    print $out $text;
    close $out;

    return;
}


# signatures: of Standard Webhooks, and that of X-Signature

sub signature {
    my ($secret, $id, $timestamp, $body) = @_;

    my ($key) = $secret =~ /^whsec_(.*)/ or croak "no secret";

    return ('v1,' . encode_base64(hmac_sha256("$id.$timestamp.$body",
                                              decode_base64($key)), ''),
            hmac_sha256_hex($body, $secret));
}


# whether a request was signed with this secret, both ways

sub verified {
    my ($self, $request, $secret) = @_;

    my $h = $request->{headers};
    my ($v1, $x) = signature($secret, $h->{'webhook-id'},
                             $h->{'webhook-timestamp'}, $request->{body});

    return scalar(grep { $_ eq $v1 } split / /, $h->{'webhook-signature'})
           && $h->{'x-signature'} eq $x;
}


sub stop {
    my ($self) = @_;

    return if !$self->{pid} || $self->{creator} != $$;

    local ($?, $!, $@);
    $_->kill_all() for @{$self->{nginx}};
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};

    return;
}


sub DESTROY { $_[0]->stop() }


# The process.  A connection: socket, in, out, close (after out), requests
# (how many), answer (that of the request under way), due (when to write).

sub _serve {
    my ($listen, $control, $address, $port) = @_;

    my $self = bless {
        listen => $listen, address => $address, port => $port, by_fd => {},
        answers => { '*' => [ {} ] }, requests => [], by_path => {},
        connections => 0, answering => 0, most => 0, read => '', write => '',
        looked => 0, waiting => {},
    }, 'Test::IClock::Receiver::Server';

    my $command = '';
    my $fd = fileno $control;

    vec($self->{read}, $fd, 1) = 1;
    vec($self->{read}, fileno $listen, 1) = 1;

    while (1) {
        my $timeout = $self->due();

        select my $r = $self->{read}, my $w = $self->{write}, undef, $timeout;

        if (vec $r, $fd, 1) {
            sysread $control, $command, BUFFER, length $command
                or POSIX::_exit(0);

            while ($command =~ s/^(.*)\n//) {
                my ($verb, @argument) = @{$json->decode($1)};
                my $method = "do_$verb";
                my $said = $json->allow_nonref
                                ->encode($self->$method(@argument)) . "\n";

                for (my $at = 0; $at < length $said; ) {
                    $at += syswrite $control, $said, 1048576, $at or last;
                }
            }
        }

        $self->accept() if $self->{listen} && vec $r, fileno $self->{listen}, 1;

        for my $c (values %{$self->{by_fd}}) {
            my $n = $c->{fd};

            $self->input($c) if vec $r, $n, 1;
            $self->output($c) if $c->{socket} && vec $w, $n, 1;
        }
    }
}


package Test::IClock::Receiver::Server;

use strict;
use warnings;

use Socket qw/ IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY /;
use Time::HiRes qw/ time /;

# of an answer that heeds its reader
use constant PIECE => 16384;
use constant PAUSE => 0.02;


sub do_answer {
    my ($self, $path, $answers) = @_;

    $self->{answers}{$path} = $answers;

    return 1;
}


sub do_requests {
    my ($self, $path, $from) = @_;

    my $all = defined $path ? $self->{by_path}{$path} || []
                            : $self->{requests};

    return [ @$all[$from .. $#$all] ];
}


sub do_count {
    my ($self, $path) = @_;

    return 0 + @{defined $path ? $self->{by_path}{$path} || []
                               : $self->{requests}};
}


sub do_clear {
    my ($self) = @_;

    $self->{requests} = [];
    $self->{by_path} = {};

    return 1;
}


sub do_stats {
    my ($self) = @_;

    return { connections => $self->{connections}, most => $self->{most},
             answering => $self->{answering},
             open => scalar keys %{$self->{by_fd}} };
}


sub do_down {
    my ($self) = @_;

    if ($self->{listen}) {
        vec($self->{read}, fileno $self->{listen}, 1) = 0;
        close delete $self->{listen};
    }

    $self->end($_) for values %{$self->{by_fd}};

    return 1;
}


sub do_up {
    my ($self) = @_;

    return 1 if $self->{listen};

    $self->{listen} = Test::IClock::Receiver::_listen($self->{address},
                                                      $self->{port})
        or return 0;
    vec($self->{read}, fileno $self->{listen}, 1) = 1;

    return 1;
}


sub accept {
    my ($self) = @_;

    while (my $socket = $self->{listen}->accept()) {
        $socket->blocking(0);
        setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

        my $fd = fileno $socket;

        $self->{by_fd}{$fd} = { socket => $socket, fd => $fd, in => '',
                                out => '', number => ++$self->{connections},
                                requests => 0 };
        vec($self->{read}, $fd, 1) = 1;
    }

    return;
}


sub end {
    my ($self, $c, $reset) = @_;

    my $socket = delete $c->{socket} or return;

    vec($self->{read}, $c->{fd}, 1) = 0;
    vec($self->{write}, $c->{fd}, 1) = 0;
    delete $self->{by_fd}{$c->{fd}};
    delete $self->{waiting}{$c->{fd}};
    $self->{answering}-- if $c->{answer};

    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0 if $reset;
    close $socket;

    return;
}


sub input {
    my ($self, $c) = @_;

    my $n = sysread $c->{socket}, $c->{in}, 1048576, length $c->{in};

    return if !defined $n && $!{EAGAIN};
    return $self->end($c) if !$n;

    $c->{begun} ||= time;

    return $self->request($c);
}


# takes the next request, if it is complete and none is under way

sub request {
    my ($self, $c) = @_;

    return if $c->{answer};

    my $end = index $c->{in}, "\r\n\r\n";
    return if $end < 0;

    my $head = substr $c->{in}, 0, $end + 4;
    my ($line, @line) = split /\r\n/, $head;
    my ($method, $path) = $line =~ /^(\S+) (\S+)/ or return $self->end($c);
    my %header;

    for (@line) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;
        $header{lc $name} = defined $header{lc $name}
                            ? "$header{lc $name}, $value" : $value;
    }

    my ($body, $rest);

    if (($header{'transfer-encoding'} || '') =~ /chunked/i) {
        ($body, $rest) = ('', substr $c->{in}, $end + 4);

        while (1) {
            $rest =~ s/^([0-9A-Fa-f]+)[^\r\n]*\r\n// or return;
            my $size = hex $1;

            return if length $rest < $size + 2;

            $body .= substr $rest, 0, $size;
            $rest = substr $rest, $size + 2;

            last if $size == 0;
        }

    } else {
        my $size = $header{'content-length'} || 0;

        return if length $c->{in} < $end + 4 + $size;

        $body = substr $c->{in}, $end + 4, $size;
        $rest = substr $c->{in}, $end + 4 + $size;
    }

    $c->{in} = $rest;

    my $now = time;
    my $request = {
        method => $method, path => $path, head => $head, body => $body,
        headers => \%header, time => $now, begun => $c->{begun},
        connection => $c->{number}, nth => ++$c->{requests},
        n => 1 + @{$self->{requests}}, status => 0, sent => 0,
    };

    delete $c->{begun};
    push @{$self->{requests}}, $request;
    push @{$self->{by_path}{$path}}, $request;

    $c->{request} = $request;
    $c->{answer} = $self->choose($request);
    $self->{answering}++;
    $self->{most} = $self->{answering} if $self->{answering} > $self->{most};

    return $self->prepare($c) if !$c->{answer}{delay};

    $c->{due} = $now + $c->{answer}{delay};
    $self->{waiting}{$c->{fd}} = $c;

    return;
}


sub choose {
    my ($self, $request) = @_;

    my $answers = $self->{answers}{$request->{path}} || $self->{answers}{'*'};
    my @turn;

    for my $answer (@$answers) {
        if (!defined $answer->{when}) {
            push @turn, $answer;

        } elsif (index("$request->{head}$request->{body}", $answer->{when})
                 >= 0)
        {
            return $answer;
        }
    }

    for my $i (0 .. $#turn) {
        my $answer = $turn[$i];
        my $times = defined $answer->{times} ? $answer->{times} : 1;

        return $answer if $i == $#turn
                          || ($answer->{used} || 0) < $times
                             && ++$answer->{used};
    }

    return {};
}


# the bytes of the answer

sub prepare {
    my ($self, $c) = @_;

    my $answer = $c->{answer};
    my $action = $answer->{action} || '';

    return if $action eq 'hang';
    return $self->end($c, $action eq 'reset') if $action ne '';

    my $body = defined $answer->{body} ? $answer->{body} : '';
    my $size = $answer->{size};

    if (defined $answer->{raw}) {
        $c->{out} = $answer->{raw};
        $c->{close} = 1;

    } else {
        my $status = $answer->{status} || 200;
        my %header = %{$answer->{headers} || {}};

        $c->{request}{status} = $status;
        $c->{close} = $answer->{close}
                      || ($c->{request}{headers}{connection} || '')
                         =~ /close/i;
        $c->{out} = "HTTP/1.1 $status Answer\r\n"
                    . join('', map { "$_: $header{$_}\r\n" }
                               sort keys %header)
                    . ($status == 204 || $status == 304 ? ''
                       : 'Content-Length: ' . ($size || length $body)
                         . "\r\n")
                    . ($c->{close} ? "Connection: close\r\n" : '')
                    . "\r\n$body";
    }

    if (defined $answer->{partial}) {
        $c->{out} = substr $c->{out}, 0, $answer->{partial};
        $c->{close} = 1;
    }

    $c->{more} = $size || 0;
    $c->{endless} = $answer->{endless};

    return $self->output($c);
}


sub output {
    my ($self, $c) = @_;

    my $trickle = $c->{answer} && $c->{answer}{trickle};
    my $heed = $c->{answer} && $c->{answer}{heed};

    refill($c);

    while ($c->{out} ne '') {
        return $self->later($c, PAUSE) if $heed && $self->unread($c);

        my $n = syswrite $c->{socket}, $c->{out},
                         $trickle ? 1 : $heed ? PIECE : length $c->{out};

        if (!defined $n) {
            return $self->end($c) if !$!{EAGAIN};
            vec($self->{write}, $c->{fd}, 1) = 1;
            return;
        }

        substr $c->{out}, 0, $n, '';
        $c->{request}{sent} += $n;
        refill($c);

        return $self->later($c, $trickle || PAUSE)
            if ($trickle || $heed) && $c->{out} ne '';
    }

    vec($self->{write}, $c->{fd}, 1) = 0;

    return $self->end($c) if $c->{close};

    delete $c->{answer};
    $self->{answering}--;

    return $self->request($c);
}


# what comes next, when all is written that there was

sub refill {
    my ($c) = @_;

    return if $c->{out} ne '';

    if ($c->{more}) {
        my $n = $c->{more} < 65536 ? $c->{more} : 65536;

        $c->{out} = 'x' x $n;
        $c->{more} -= $n;

    } elsif (defined $c->{endless}) {
        $c->{out} = $c->{endless};
    }

    return;
}


# goes on in so many seconds

sub later {
    my ($self, $c, $seconds) = @_;

    $c->{due} = time + $seconds;
    $self->{waiting}{$c->{fd}} = $c;
    vec($self->{write}, $c->{fd}, 1) = 0;

    return;
}


# whether the peer, on this machine, has yet to read something, or to get it; of
# IPv6 nothing is known

sub unread {
    my ($self, $c) = @_;

    my $peer = $c->{socket}->peerport() or return 0;
    my ($ours, $theirs) = map { sprintf ':%04X', $_ }
                          $c->{socket}->sockport(), $peer;

    $self->look_at_sockets() if time - $self->{looked} >= PAUSE / 2;

    return $self->{full}{"out $ours$theirs"}
           || $self->{full}{"in $theirs$ours"};
}


# Once for all connections, which have paused since they wrote: a machine may
# have thousands of sockets that nobody uses any more.

sub look_at_sockets {
    my ($self) = @_;

    my $any = qr/^\s*\d+:\s\w+(:\w+)\s\w+(:\w+)\s\w\w\s(\w+):(\w+)/;

    open my $in, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";

    $self->{full} = {};

    # number, addresses, state, bytes to be sent and to be read
    while (my $line = <$in>) {
        next if index($line, '00000000:00000000') >= 0 || $line !~ $any;

        $self->{full}{"out $1$2"} = 1 if hex $3;
        $self->{full}{"in $1$2"} = 1 if hex $4;
    }

    $self->{looked} = time;

    return;
}


# does what is due, and returns the seconds until something is

sub due {
    my ($self) = @_;

    my $next;

    for my $c (values %{$self->{waiting}}) {
        my $left = $c->{due} - time;

        if ($left <= 0) {
            delete $self->{waiting}{$c->{fd}};
            $c->{out} eq '' ? $self->prepare($c) : $self->output($c);
            $left = $c->{due} - time;
            next if !$self->{waiting}{$c->{fd}};
        }

        $next = $left if !defined $next || $left < $next;
    }

    return defined $next && $next < 0 ? 0 : $next;
}


1;
