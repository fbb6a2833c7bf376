package Test::IClock::Device;

# Copyright (C) the ngx_http_iclock_module authors

# What a terminal says, on top of Test::IClock::HTTP.  Used by the tests and
# by t/tools/device.

use strict;
use warnings;

use Time::HiRes qw/ sleep time /;

use Test::IClock::HTTP ();


# options: host, port, tls, path ("/iclock"), version (of HTTP), headers,
# patience (seconds for which it comes again after a 503), and trace: called
# with the bytes of each request and the response

sub new {
    my ($class, $sn, %option) = @_;

    return bless {
        host => '127.0.0.1', port => 80, path => '/iclock', version => '1.1',
        pushver => '2.4.1', timeout => 120, headers => {}, stamp => 9999,
        %option, sn => $sn,
    }, $class;
}


sub sn { $_[0]{sn} }


sub _query {
    my ($self, $query) = @_;

    my @pair = ("SN=$self->{sn}", @$query);

    return join '&', map { ref $_ ? "$_->[0]=$_->[1]" : $_ } @pair;
}


# one request; endpoint, list of "name=value", body or undef

sub send {
    my ($self, @request) = @_;

    my $response = $self->_send(@request);
    my $until = time + ($self->{patience} || 0);

    while ($response->status == 503 && time < $until) {
        sleep 0.1;
        $response = $self->_send(@request);
    }

    return $response;
}


sub _send {
    my ($self, $endpoint, $query, $body, %header) = @_;

    my $uri = "$self->{path}/$endpoint?" . $self->_query($query);
    my $method = defined $body ? 'POST' : 'GET';

    my $bytes = Test::IClock::HTTP::format_request($method, $uri, $body,
                    -version => $self->{version}, %{$self->{headers}},
                    %header);

    my $response = eval {
        my $c = Test::IClock::HTTP->new(
                    map { $_ => $self->{$_} } qw/ host port tls timeout /);
        my $r = $c->request($bytes);
        $c->close();
        $r;
    };

    $self->{error} = $@;
    $self->{trace}->($bytes, $response, $@) if $self->{trace};

    # no answer at all is a response without a status
    return $response || bless { status => 0, body => '', headers => {},
                                head => '' }, 'Test::IClock::HTTP::Response';
}


sub handshake {
    my ($self, @query) = @_;

    return $self->send('cdata', ['options=all', 'language=69',
                                 "pushver=$self->{pushver}",
                                 'DeviceType=att', 'PushOptionsFlag=1',
                                 @query]);
}


# an upload of any table; stamps are as the device sends them

sub upload {
    my ($self, $table, $body, @query) = @_;

    return $self->send('cdata', ["table=$table", "Stamp=$self->{stamp}",
                                 @query], $body);
}


sub _lines { join '', map { /\n\z/ ? $_ : "$_\n" } @_ }


# Punches: lines as they are, or [ pin, time, status, verify, ... ].

sub punches {
    my ($self, @line) = @_;

    return $self->upload('ATTLOG',
                         _lines(map { ref $_ ? join "\t", @$_ : $_ } @line));
}


sub operations {
    my ($self, @line) = @_;

    return $self->upload('OPERLOG', _lines(@line));
}


# options as one comma separated line, in the order given

sub options {
    my ($self, @pair) = @_;

    return $self->upload('options', join ',', @pair);
}


# a photo of an attendance in the form NUL + JPEG

sub photo {
    my ($self, $name, $jpeg) = @_;

    my $head = "PIN=$name\nSN=$self->{sn}\nsize=" . length($jpeg)
               . "\nCMD=uploadphoto\0";

    return $self->upload('ATTPHOTO', $head . $jpeg);
}


sub poll {
    my ($self, @query) = @_;

    return $self->send('getrequest', \@query);
}


sub ping {
    my ($self) = @_;

    return $self->send('ping', []);
}


# Acknowledges commands: a list of [ id, return, cmd ].

sub ack {
    my ($self, @reply) = @_;

    @reply = ([ @reply ]) if @reply && !ref $reply[0];

    return $self->send('devicecmd', [],
                       join '', map { sprintf "ID=%s&Return=%s&CMD=%s\n",
                                      $_->[0], defined $_->[1] ? $_->[1] : 0,
                                      defined $_->[2] ? $_->[2] : 'DATA' }
                                @reply);
}


1;
