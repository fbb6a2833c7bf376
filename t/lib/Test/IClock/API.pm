package Test::IClock::API;

# Copyright (C) the ngx_http_iclock_module authors

# A program that uses the HTTP interface.
#
#   my $api = Test::IClock::API->new($t, scopes => [ 'devices:read' ]);
#   my $r = $api->get('/devices?limit=5');
#   is($r->status, 200);  is($r->json->{data}[0]{id}, 'TEST0001');
#
# The paths are those behind the prefix.  Options of new(): those of
# iclock.create_api_key() as name => value, prefix ("/v1"), key (the text of
# one that there is; undef: none), address (to come from).

use strict;
use warnings;

use JSON::PP ();

use Test::IClock::HTTP ();
use Test::IClock::Process qw/ wait_until /;

our @scopes = qw/ devices:read devices:write users:read users:write
                  templates:read logs:read events:read commands:read
                  commands:write webhooks:manage /;

my $json = JSON::PP->new->utf8->canonical;


# The contents of http{} with the interface at /v1 on %%PORT%%.  Options:
# database, pool, device_pool (that of terminals), listen (of the socket), http,
# server, location (further lines).  A backend that stands still for a while is
# no error, unless that is what is tested.

sub server {
    my ($t, %option) = @_;

    %option = (http => '', server => '', location => '',
               pool => 'timeout=55s',
               device_pool => 'timeout=55s connect_timeout=30s',
               listen => '', database => $t->conninfo(), %option);

    my $pool = $option{pool} eq '' ? '' : "iclock_api_pool $option{pool};";

    $pool .= " iclock_pool $option{device_pool};"
        if $option{device_pool} ne '';

    return <<END;
    iclock_database "$option{database}";
    $pool
    $option{http}

    server {
        listen 127.0.0.1:%%PORT%% $option{listen};
        server_name localhost;
        $option{server}

        location /v1 {
            iclock_api;
            $option{location}
        }
    }
END
}


sub new {
    my ($class, $t, %option) = @_;

    my $self = bless { t => $t, prefix => '/v1' }, $class;

    for my $name (qw/ prefix address key /) {
        $self->{$name} = delete $option{$name} if exists $option{$name};
    }

    $self->{key} = create_key($t, %option) if !exists $self->{key};

    return $self;
}


# The text of a new key.  The first one has events written, which gives up when
# others have had the table of punches for some seconds.

sub create_key {
    my ($t, %option) = @_;

    %option = (name => 'test', scopes => \@scopes, %option);

    my $sql = 'SELECT iclock.create_api_key('
              . join(', ', map { "$_ => " . literal($option{$_}) }
                           sort keys %option) . ')';
    my $key;

    wait_until(60, sub {
        $key = eval { $t->psql($sql) };
        return defined $key || $@ !~ /lock timeout|deadlock/;
    });

    return defined $key ? $key : $t->psql($sql);
}


sub literal {
    my ($value) = @_;

    return 'NULL' if !defined $value;
    return "'{" . join(',', map { "\"$_\"" } @$value) . "}'" if ref $value;
    return $value if $value =~ /^\d+\z/;

    $value =~ s/'/''/g;

    return "'$value'";
}


sub key { $_[0]{key} }

# the part of the text that names the key

sub id { (split /_/, $_[0]{key})[2] }


# The bytes of a request.  A body that is a reference becomes JSON.  Headers:
# as Test::IClock::HTTP::format_request() has them.

sub format {
    my ($self, $method, $path, $body, %header) = @_;

    $header{Authorization} = "Bearer $self->{key}"
        if defined $self->{key} && !exists $header{Authorization};

    $header{'User-Agent'} = 'test' if !exists $header{'User-Agent'};
    $header{'Content-Type'} = 'application/json'
        if defined $body && !exists $header{'Content-Type'};

    $body = $json->encode($body) if ref $body;

    return Test::IClock::HTTP::format_request($method,
               "$self->{prefix}$path", $body, %header);
}


# options besides the headers: -port, -timeout, -local (address)

sub request {
    my ($self, $method, $path, $body, %header) = @_;

    my %connect = map { my $name = $_;
                        exists $header{"-$name"}
                            ? ($name => delete $header{"-$name"}) : () }
                  qw/ port timeout local /;

    $connect{local} = $self->{address}
        if defined $self->{address} && !exists $connect{local};

    return response($self->{t}->connect(%connect)->request(
               $self->format($method, $path, $body, %header)));
}


# a response of Test::IClock::HTTP with what is added below

sub response {
    my ($response) = @_;

    return $response
           ? bless($response, 'Test::IClock::API::Response') : undef;
}


sub get {
    my ($self, $path, %header) = @_;
    return $self->request('GET', $path, undef, %header);
}


sub head {
    my ($self, $path, %header) = @_;
    return $self->request('HEAD', $path, undef, %header);
}


sub delete {
    my ($self, $path, %header) = @_;
    return $self->request('DELETE', $path, undef, %header);
}


sub post { my $self = shift; return $self->request('POST', @_) }
sub put { my $self = shift; return $self->request('PUT', @_) }
sub patch { my $self = shift; return $self->request('PATCH', @_) }


package Test::IClock::API::Response;

use strict;
use warnings;

our @ISA = ('Test::IClock::HTTP::Response');


# the body; undef if it is not JSON

sub json {
    my ($self) = @_;

    $self->{json} = eval { $json->decode($self->body) }
        if !exists $self->{json};

    return $self->{json};
}


# status and code of a problem, or the status alone

sub said {
    my ($self) = @_;

    my $type = $self->header('Content-Type') || '';

    return $self->status if $type ne 'application/problem+json';
    return $self->status . ' ' . ($self->json->{code} || '?');
}


1;
