package Test::IClock::Stream;

# Copyright (C) the ngx_http_iclock_module authors

# A client of the live stream: what a browser's EventSource reads, with what
# it leaves out.
#
#   my $s = Test::IClock::Stream->new(port => $port, uri => '/v1/events',
#                                     header => [ 'X-API-Key' => $key ]);
#   is($s->status(), 200);
#   my $e = $s->next(5);          # { id, event, data }, undef: none came
#   $s->close();

use strict;
use warnings;

use List::Util qw/ max /;
use Socket qw/ SOL_SOCKET SO_RCVBUF /;
use Time::HiRes qw/ time /;

use Test::IClock::HTTP ();


# options: uri, header (a list), rcvbuf (bytes), and those of
# Test::IClock::HTTP

sub new {
    my ($class, %option) = @_;

    my $uri = delete $option{uri};
    my $header = delete $option{header};
    my $rcvbuf = delete $option{rcvbuf};

    my $http = Test::IClock::HTTP->new(%option);
    my $self = bless { http => $http, text => '', events => [],
                       comments => [] }, $class;

    setsockopt $http->{socket}, SOL_SOCKET, SO_RCVBUF, $rcvbuf if $rcvbuf;

    $http->write(Test::IClock::HTTP::format_request('GET', $uri, undef,
                     Accept => 'text/event-stream', -keepalive => 1,
                     @$header));

    # that long each time
    $self->_read(time + 15) while !$self->{head} && !$self->{eof};

    return $self;
}


sub status { ($_[0]{head} || '') =~ m!^HTTP/1.\d (\d+)! ? $1 : 0 }
sub head { $_[0]{head} }
sub eof { $_[0]{eof} }
sub body { $_[0]{text} }
sub comments { @{$_[0]{comments}} }
sub retry { $_[0]{retry} }
sub close { $_[0]{http}->close() }
sub abort { $_[0]{http}->abort() }

# of the last event that next() gave: a browser sends it when it comes again
sub last_id { $_[0]{last_id} }


# The next event, undef if none comes within the time or the stream ends.

sub next {
    my ($self, $seconds) = @_;

    my $until = time + $seconds;

    while (!@{$self->{events}}) {
        return undef if $self->{eof} || !$self->_read($until);
    }

    my $event = shift @{$self->{events}};

    $self->{last_id} = $event->{id} if defined $event->{id};

    return $event;
}


# Reads until the end of the stream, at most that long; true if it ended.

sub ended {
    my ($self, $seconds) = @_;

    my $until = time + $seconds;

    while (!$self->{eof}) {
        return 0 if !$self->_read($until);
    }

    return 1;
}


# Reads once, what has come before the time is over or while this process stood
# still; true if there was something.

sub _read {
    my ($self, $until) = @_;

    my $http = $self->{http};
    my $n = $http->fill(max(0, $until - time));

    return 0 if !defined $n;

    $self->{eof} = 1 if $n == 0;

    if (!$self->{head}) {
        return 1 if $http->{buffer} !~ s/^(.*?\r\n)\r\n//s;

        $self->{head} = $1;
        $self->{chunked} = $1 =~ /^Transfer-Encoding: chunked/mi;
    }

    if (!$self->{chunked}) {
        $self->{text} .= $http->{buffer};
        $http->{buffer} = '';

    } else {
        while ($http->{buffer} =~ /^([0-9a-f]+)\r\n/i) {
            my ($head, $size) = ($+[0], hex $1);

            last if length $http->{buffer} < $head + $size + 2;

            $self->{eof} = 1 if $size == 0;
            $self->{text} .= substr $http->{buffer}, $head, $size;
            substr($http->{buffer}, 0, $head + $size + 2) = '';
        }
    }

    return 1 if $self->status() != 200;

    $self->_event($1) while $self->{text} =~ s/^(.*?)\n\n//s;

    return 1;
}


sub _event {
    my ($self, $block) = @_;

    my %event;

    for (split /\n/, $block) {
        if (/^: ?(.*)/) {
            push @{$self->{comments}}, $1;

        } elsif (/^(\w+): ?(.*)/) {
            $event{$1} = exists $event{$1} ? "$event{$1}\n$2" : $2;
        }
    }

    $self->{retry} = $event{retry} if defined $event{retry};
    push @{$self->{events}}, \%event if defined $event{data};

    return;
}


1;
