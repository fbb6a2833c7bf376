package Test::IClock::Answers;

# Copyright (C) the ngx_http_iclock_module authors

# What the HTTP interface answers, while a test runs, and whether all of it is
# what openapi.json says.  Nobody asks for this: Test::IClock::HTTP gives every
# byte of a connection to here, Test::IClock::Nginx every configuration, and
# Test::IClock::done() asks check().  Programs of others get overheard():
#
#   my $base = 'http://127.0.0.1:' . $t->overheard() . '/v1';
#
# or are told(), what curl has left in a file.
#
# Answers go to a file as soon as they are whole, for processes that a test has
# forked get some, too.  It is read by t/lib/conform.js, which has the rules.
#
# An object is one connection: asked() and answered() take bytes in any pieces,
# end() what is left.

use strict;
use warnings;

use Carp qw/ croak /;
use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use IO::Select;
use IO::Socket::INET;
use POSIX ();

use Test::IClock::Process qw/ command slurp /;

my $root = dirname(dirname(dirname(dirname(dirname(abs_path(__FILE__))))));

# Of an answer that is longer only the beginning is looked at: those are rows,
# and each is like the others.
use constant LONGEST => 4 * 1024 * 1024;

use constant BUFFER => 65536;

my ($dir, $file, %location, $location, $deaf);
my $pid = 0;


# where to write, for the first that asks; what measures is no test

sub begin {
    my ($where) = @_;

    return if $dir || $0 !~ /\.t\z/;

    $dir = $where;
    $pid = $$;

    return;
}


# the locations of a configuration that have the interface in them

sub configured {
    my ($conf) = @_;

    return if $deaf;

    my $all = () = $conf =~ s/#.*//gr =~ /\biclock_api\s*;/g;
    my @found = $conf =~ m!\blocation\s+(?:=\s+|\^~\s+)?(/\S*)
                           \s*\{[^{}]*\biclock_api\s*;!gx;

    # nobody would notice that its answers are not looked at
    croak 'iclock_api in a location that is not understood' if @found < $all;

    @location{@found} = ();

    my $any = join '|', map { quotemeta s!/\z!!r }
                        sort { length $b <=> length $a } keys %location;

    $location = qr!^(\w+)[ ](?:https?://[^/\s]*)?($any)((?:[/?]\S*)?)[ ]!x
        if %location;

    return;
}


# Operations whose functions are a test's own from now on: the bodies of their
# successes are none of the document's, but status, type and headers are.

sub own {
    _append('own', $_, 0, '', '') for @_;
    return;
}


# For a connection that begins with these bytes; undef if they are for others.

sub listen {
    my ($class, $bytes) = @_;

    return undef if $deaf || !$dir || !$location || $bytes !~ $location;

    return bless { asked => '', got => '' }, $class;
}


sub asked {
    my ($self, $bytes) = @_;

    $self->{asked} .= $bytes if !$self->{over};

    return;
}


sub answered {
    my ($self, $bytes) = @_;

    return if $self->{over};

    $self->{got} .= $bytes;

    if (!defined $self->{stream}) {
        my $end = index $self->{got}, "\r\n\r\n";

        return if $end < 0;

        $self->{stream} = substr($self->{got}, 0, $end)
                          =~ m!^Content-Type:\s*text/event-stream!mi ? 1 : 0;
    }

    if (length $self->{got} > LONGEST) {
        $self->end();

    } elsif (!$self->{stream}) {
        # a stream is no answer before its end
        $self->_take(0);
    }

    return;
}


# No more comes, or it is no matter.

sub end {
    my ($self) = @_;

    return if $self->{over};

    $self->_take(1);
    $self->{over} = 1;
    $self->{asked} = $self->{got} = '';

    return;
}


# the answers that there are, each with its request

sub _take {
    my ($self, $end) = @_;

    my $long = length $self->{got} > LONGEST;

    while ($self->{got} ne '') {

        my ($method) = $self->{asked} =~ /^(\w+) /;
        my ($answer, $rest) = Test::IClock::HTTP::Response->parse(
                                  $self->{got}, $end, $method);

        # chunks that have no end yet
        ($answer, $rest) = (_begun($self->{got}), '') if !$answer && $end;

        return if !$answer;

        $self->{got} = $rest;

        next if $answer->status < 200;

        $answer->{truncated} = 1 if $long;
        _write($self->_request(), $answer);
        delete $self->{stream};
    }

    return;
}


# the first request, and away with it

sub _request {
    my ($self) = @_;

    return $self->{asked} =~ s/\A(.*)//s ? $1 : ''
        if $self->{asked} !~ s/\A(.*?\r\n\r\n)//s;

    my $head = $1;

    if ($head =~ /^Transfer-Encoding:\s*chunked/mi) {
        $self->{asked} =~ s/\A.*?\r\n0\r\n\r\n//s;

    } elsif ($head =~ /^Content-Length:\s*(\d+)/mi) {
        substr $self->{asked}, 0, $1, '';
    }

    return $head;
}


sub _begun {
    my ($text) = @_;

    my $end = index $text, "\r\n\r\n";

    return undef if $end < 0;

    my $body = substr $text, $end + 4;
    my $head = substr $text, 0, $end + 4;
    my $data = '';

    if ($head =~ /^Transfer-Encoding:\s*chunked/mi) {
        while ($body =~ s/\A([0-9a-f]+)\r\n//i) {
            my $size = hex $1;

            $data .= substr $body, 0, $size, '';
            last if $body !~ s/\A\r\n//;
        }

    } else {
        $data = $body;
    }

    my ($answer) = Test::IClock::HTTP::Response->parse(
        $head =~ s/^(?:Transfer-Encoding|Content-Length):.*?\r\n//gmir, 1)
        or return undef;

    $answer->{head} = $head;
    $answer->{body} = $data;
    $answer->{truncated} = 1;

    return $answer;
}


sub _write {
    my ($request, $answer) = @_;

    return if !$location || $request !~ $location;

    my ($method, $path) = ($1, $3);

    _append($method, $path, $answer->{truncated} ? 1 : 0, $answer->head,
            $answer->body);

    return;
}


# An answer as "curl -i" leaves it, to a path behind the location.

sub told {
    my ($method, $path, $text) = @_;

    my ($head, $body) = $text =~ /\A(.*?\r\n)\r\n(.*)\z/s
        or croak "no answer to $path: $text";

    _append($method, $path, 0, $head, $body);

    return;
}


sub _append {
    my (@part) = @_;

    return if !$dir;

    if (!$file) {
        open $file, '>>:raw', name() or croak name() . ": $!";
    }

    my $bytes = packed(@part);

    # one write, for others write, too
    (syswrite($file, $bytes) || 0) == length $bytes
        or croak name() . ": $!";

    return;
}


# the file, if answers are looked at

sub name { return $dir && "$dir/answers" }


# method, path behind the location, whether it was cut, head, body

sub packed { return pack 'N/a* N/a* N N/a* N/a*', @_ }


# A port where other programs are heard: what they say goes on to this one.

sub overheard {
    my ($port, $at) = @_;

    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                       LocalPort => $at, Listen => 64, ReuseAddr => 1)
        or croak "cannot listen on port $at: $!";

    my $parent = $$;
    my $child = fork;

    croak "fork: $!" if !defined $child;

    return $child if $child;

    $SIG{INT} = $SIG{TERM} = 'DEFAULT';
    $SIG{PIPE} = 'IGNORE';
    eval { _relay($listener, $port, $parent) } or warn "overheard: $@";
    POSIX::_exit(0);
}


sub _relay {
    my ($listener, $port, $parent) = @_;

    my $select = IO::Select->new($listener);
    my %other;          # socket => { to, ear, up }

    while (getppid == $parent) {
        for my $socket ($select->can_read(1)) {

            if ($socket == $listener) {
                my $client = $listener->accept() or next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                 PeerPort => $port) or next;
                my $pair = { heard => undef };

                $other{$client} = [ $server, $pair, 1 ];
                $other{$server} = [ $client, $pair, 0 ];
                $select->add($client, $server);
                next;
            }

            my ($to, $pair, $up) = @{$other{$socket} || next};
            my $n = sysread $socket, my $bytes, BUFFER;

            if ($n && $up) {
                $pair->{heard} ||= __PACKAGE__->listen($bytes);
                $pair->{heard}->asked($bytes) if $pair->{heard};

            } elsif ($n) {
                $pair->{heard}->answered($bytes) if $pair->{heard};
            }

            next if $n && _pass($to, $bytes);

            $pair->{heard}->end() if $pair->{heard};
            delete @other{$socket, $to};
            $select->remove($socket, $to);
            close $_ for $socket, $to;
        }
    }

    return 1;
}


sub _pass {
    my ($to, $bytes) = @_;

    while ($bytes ne '') {
        my $n = syswrite $to, $bytes or return 0;

        substr $bytes, 0, $n, '';
    }

    return 1;
}


# The answers that there are: method, path and status of each.

sub heard {
    my $text = slurp(name());
    my ($at, @answer) = 0;

    while ($at < length $text) {
        my ($method, $path, undef, $head, $body)
            = unpack "\@$at N/a* N/a* N N/a* N/a*", $text;

        $at += 20 + length "$method$path$head$body";
        push @answer, "$method $path $1" if $head =~ /^\S+ (\d+)/;
    }

    return @answer;
}


# How many answers there are, and what is wrong with them: a line for each
# kind of fault.

sub check {
    return (0, '') if !$dir || $pid != $$ || !-s name();

    return wrong(name());
}


# the same, of a file

sub wrong {
    my ($name) = @_;

    my $out = "$dir/conform.out";

    command({ out => "$out.err" }, "$root/tools/npm/fetch", "$root/build/npm")
        == 0 or croak "no packages of npm: " . slurp("$out.err");

    unlink $out;

    command({ out => $out, err => "$out.err", env => {
                NODE_PATH => "$root/build/npm/node_modules" } },
            'node', "$root/t/lib/conform.js", document(), $name) == 0
        or croak 'conform.js: ' . slurp("$out.err");

    my ($n, $lines) = slurp($out) =~ /\A(\d+)\n(.*)\z/s;

    return ($n, $lines);
}


# The file with the document, of an nginx that does nothing else: that of the
# test may be gone, and is not to be asked what the test did not ask.

sub document {
    my $name = "$dir/openapi.json";

    return $name if -s $name;

    $deaf = 1;

    my $nginx = Test::IClock::Nginx->new("$dir/openapi");

    $nginx->start(<<'END', workers => 1);
    iclock_database "host=/nowhere";

    server {
        listen 127.0.0.1:%%PORT%%;
        location / { iclock_api; }
    }
END

    my $answer = Test::IClock::HTTP->new(port => $nginx->port())
                     ->get('/openapi.json');

    my $status = $nginx->stop();
    my $complaints = $nginx->complaints();

    $deaf = 0;

    croak 'no openapi.json' if !$answer || $answer->status != 200;
    croak "nginx for openapi.json: $complaints"
        if !defined $status || $status
           || $complaints =~ /Sanitizer|runtime error:/;

    open my $out, '>:raw', $name or croak "$name: $!";
    print $out $answer->body;
    close $out;

    return $name;
}


1;
