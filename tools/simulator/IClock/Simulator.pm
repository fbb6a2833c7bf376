package IClock::Simulator;

# Copyright (C) the ngx_http_iclock_module authors

# All terminals of one run: who the people are, when they come, what is
# counted and what is said about it.

use strict;
use warnings;

use Digest::MD5 qw/ md5 /;
use Time::HiRes qw/ time /;

use IClock::Simulator::Loop;
use IClock::Simulator::Models;
use IClock::Simulator::Terminal;

my @first = qw/ Asha Jonas Mei Omar Lucia Ravi Ingrid Tomas Amina Pedro Yuki
                Sofia Karim Nadia Felix Priya Marek Leila Bruno Hana Ola Zoe
                Imran Elena Kofi Marta Dinesh Clara Rashid Anneke /;
my @last = qw/ Rao Weber Chen Hassan Rossi Patel Berg Novak Diallo Silva Sato
               Moreno Aziz Petrov Braun Iyer Kowal Haddad Costa Kim Larsen
               Martin Khan Popov Mensah Vega Nair Dubois Malik Visser /;


# Options are those of iclock-simulator by their names.

sub new {
    my ($class, %option) = @_;

    my $self = bless {
        %option, complaint => {}, terminals => [], by_sn => {}, ended => 0,
        counter => { map { $_ => 0 } qw/ handshakes punches acknowledged
                         photos photos_acknowledged lines commands answers / },
    }, $class;

    $option{server} =~ m!^(https?)://(\[[^\]]+\]|[^/:]+)(?::(\d+))?(/.*)?\z!
        or die "\"$option{server}\" is not an address like"
               . " http://127.0.0.1:8081/iclock\n";

    my ($scheme, $host, $port, $path) = ($1, $2, $3, $4);

    $port = $scheme eq 'https' ? 443 : 80 if !defined $port;

    $self->{authority} = $host . ($port == ($scheme eq 'https' ? 443 : 80)
                                  ? '' : ":$port");
    $self->{path} = (defined $path ? $path : '') =~ s!/+\z!!r;
    $self->{loop} = IClock::Simulator::Loop->new(
        host => $host =~ s/[\[\]]//gr, port => $port,
        connections => $option{connections}, timeout => $option{timeout},
        $scheme eq 'https'
        ? (tls => { $option{insecure} ? (SSL_verify_mode => 0) : (),
                    $option{cacert} ? (SSL_ca_file => $option{cacert})
                                    : () }) : ());

    $self->{seed} = int rand 1_000_000 if !defined $option{seed};
    srand $self->{seed};

    $self->{people} = [ map { _person($_) } 0 .. $option{people} - 1 ];
    $self->_install();

    return $self;
}


sub _person {
    my ($n) = @_;

    my $name = $first[$n % @first] . ' '
               . $last[($n + int($n / @first)) % @last];

    return { pin => 1001 + $n, name => $name, pri => $n ? 0 : 14,
             passwd => $n % 7 == 3 ? 1000 + ($n * 37) % 9000 : '',
             card => $n % 3 == 0 ? 4_000_000 + 7919 * $n : '', grp => 1,
             tz => '0000000100000000', verify => -1 };
}


# what each person has on the terminals of a model: which finger, a face

sub biometrics {
    my ($self, $model) = @_;

    return $self->{bio}{$model->{name}} ||= {
        $self->{templates} && $model->{finger} ? ('1/6' => 1) : (),
        $self->{templates} && $model->{face}
        ? (IClock::Simulator::Models::face_type($model) . '/0' => 1) : (),
    };
}


sub _install {
    my ($self) = @_;

    my @model = map { IClock::Simulator::Models::named($_)
                      || die "there is no model \"$_\": --list-models names"
                             . " them\n" } @{$self->{model}};
    my @sn = @{$self->{sn}};
    my $n = $self->{devices};

    $n = @sn if $n < @sn;

    for my $i (0 .. $n - 1) {
        my $model = $model[$i % @model];
        my $sn = defined $sn[$i] ? $sn[$i]
               : sprintf '%s%010d', defined $self->{prefix} ? $self->{prefix}
                                    : $model->{prefix},
                                    $self->{first} + $i;

        die "two terminals have the serial number $sn\n"
            if $self->{by_sn}{$sn};

        my $terminal = IClock::Simulator::Terminal->new(
            sn => $sn, model => $model, world => $self, index => $i);

        push @{$self->{terminals}}, $terminal;
        $self->{by_sn}{$sn} = $terminal;
    }

    $self->_remember($_) for @{$self->{terminals}};

    return;
}


# The punches of the last days: each person has a terminal, where he or she
# comes and goes on the days from Monday to Saturday.  With the same seed a day
# is the same whenever it is asked for.

sub _remember {
    my ($self, $terminal) = @_;

    my $n = @{$self->{terminals}};
    my @own = grep { ($_->{pin} - 1001) % $n == $terminal->{index} % $n }
              @{$self->{people}};
    my @punch;

    for (my $day = $self->{history}; $day > 0; $day--) {
        my $moment = time - 86_400 * $day;
        my $date = substr $terminal->clock($moment), 0, 10;

        next if (gmtime($moment + $terminal->{offset}))[6] == 0;

        for my $person (@own) {
            my $pin = $person->{pin};
            my @chance = map { $_ / 65_536 }
                         unpack 'n6', md5("$self->{seed}/$pin/$date");

            next if $chance[0] < 0.05;

            push @punch, [ "$date " . _at(8.6 + 0.9 * $chance[1]), $pin, 0 ],
                         [ "$date " . _at(17.2 + 1.2 * $chance[2]), $pin, 1 ];
            push @punch, [ "$date " . _at(12 + 0.5 * $chance[3]), $pin, 1 ],
                         [ "$date " . _at(12.6 + 0.5 * $chance[4]), $pin, 0 ]
                if $chance[5] < 0.4;
        }
    }

    my $verify = $terminal->model->{verify}[0];

    $terminal->punch($_->[1], time => $_->[0], status => $_->[2],
                     verify => $verify, quiet => 1)
        for sort { $a->[0] cmp $b->[0] || $a->[1] <=> $b->[1] } @punch;

    %{$terminal->{inside}} = ();
    $terminal->{sent} = @punch if $self->{moved};
    $self->count('punches', scalar @punch) if !$self->{moved};

    return;
}


sub _at {
    my ($hour) = @_;

    return sprintf '%02d:%02d:%02d', $hour, $hour * 60 % 60,
                   $hour * 3600 % 60;
}


# what is counted, and what a terminal would not like

sub count {
    my ($self, $name, $n) = @_;

    $self->{counter}{$name} += defined $n ? $n : 1;

    return;
}


sub complain {
    my ($self, $what) = @_;

    print STDERR "iclock-simulator: terminals do not like this: $what\n"
        if !$self->{complaint}{$what}++;

    return;
}


# one line of what happens

sub says {
    my ($self, $terminal, $what) = @_;

    return if $self->{quiet} || $self->{verbose} || $self->{trace};

    printf "%s %s %s\n", substr($terminal->clock(), 11), $terminal->sn, $what
        if @{$self->{terminals}} <= 10;

    return;
}


# bytes for people: TAB as an arrow, what cannot be printed as \xXX

sub readable {
    my ($bytes, $limit) = @_;

    my $cut = length $bytes > $limit;

    $bytes = substr $bytes, 0, $limit if $cut;
    $bytes =~ s/([^\t\r\n\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
    $bytes =~ s/\r\n/\n/g;
    $bytes =~ s/\r/\\r/g;
    $bytes =~ s/\t/ -> /g;

    return $bytes . ($cut ? ' ...' : '');
}


sub trace {
    my ($self, $terminal, $bytes) = @_;

    return if !$self->{trace};

    print map { '> ' . $terminal->sn . " $_\n" }
          split /\n/, readable($bytes, 2000);

    return;
}


sub traced {
    my ($self, $terminal, $uri, $response, $error) = @_;

    return if $self->{quiet} || !$self->{trace} && !$self->{verbose};

    if ($self->{trace} && $response) {
        print map { '< ' . $terminal->sn . " $_\n" }
              split /\n/, readable("$response->{status}\n$response->{body}",
                                   2000);
        return;
    }

    my ($first) = $response ? split /\n/, $response->{body} : ();

    printf "%s %s %s  =>  %s\n", substr($terminal->clock(), 11),
           $terminal->sn, readable($uri =~ s!^\Q$self->{path}\E!!r, 60),
           $response ? "$response->{status} "
                       . readable(defined $first ? $first : '', 40) : $error;

    return;
}


# runs until the time is over, or somebody interrupts it

sub run {
    my ($self) = @_;

    my ($loop, $terminals) = @$self{qw/ loop terminals /};
    my $spread = $self->{spread};

    $| = 1;
    $self->{started} = time;

    # not all at once, as after a power failure
    for my $i (0 .. $#$terminals) {
        my $terminal = $terminals->[$i];

        $loop->after($spread * $i / @$terminals, sub {
            $terminal->start();
            $self->_somebody($terminal) if $self->{rate} > 0;
            $self->_outage($terminal) if $self->{outages} > 0;
        });
    }

    local $SIG{INT} = local $SIG{TERM}
        = sub { $self->{ended}++ ? $loop->stop() : $self->_drain() };

    $loop->after($self->{duration}, sub { $self->_drain() })
        if $self->{duration} > 0;
    $self->_report_progress() if @$terminals > 10 && !$self->{quiet}
                                 && !$self->{verbose} && !$self->{trace};
    $self->_control() if $self->{control};
    $self->_watch_parent() if $self->{parent};

    $loop->run();

    return $self->_end();
}


# Somebody comes: at random, on the average as often as --rate says.

sub _somebody {
    my ($self, $terminal) = @_;

    my $mean = 3600 / $self->{rate};

    $self->{loop}->after(-log(1 - rand) * $mean, sub {
        return if $self->{ended};

        if (!$terminal->{off}) {
            my @pin = keys %{$terminal->{users}};
            my $pin = $pin[rand @pin];
            my $now = $terminal->clock();

            # nobody comes twice in a second, also when the clock is set
            $terminal->punch($pin) if @pin
                && ($terminal->{came}{$pin} || '') lt $now;
            $terminal->{came}{$pin} = $now if @pin;
        }

        $self->_somebody($terminal);
    });

    return;
}


# A terminal loses its network or its power, and comes back.

sub _outage {
    my ($self, $terminal) = @_;

    my $mean = 3600 / $self->{outages};

    $self->{loop}->after(-log(1 - rand) * $mean, sub {
        return if $self->{ended};

        $self->count('outages');
        $terminal->stop(20 + rand 100);
        $self->_outage($terminal);
    });

    return;
}


sub _report_progress {
    my ($self) = @_;

    $self->{loop}->after(10, sub {
        my $c = $self->{counter};

        printf "%d s: %d handshakes, %d polls, %d of %d punches acknowledged,"
               . " %d commands\n", time - $self->{started},
               map { $_ || 0 } @$c{qw/ handshakes requests_getrequest
                                       acknowledged punches commands /};
        $self->_report_progress();
    });

    return;
}


sub _watch_parent {
    my ($self) = @_;

    $self->{loop}->after(1, sub {
        return $self->{loop}->stop() if !kill 0, $self->{parent};
        $self->_watch_parent();
    });

    return;
}


# Nobody comes any more; what was recorded gets there, if it does so in time.

sub _drain {
    my ($self) = @_;

    my $loop = $self->{loop};
    my $until = time + $self->{drain};

    $self->{ended}++;

    my $look;

    $look = sub {
        return $loop->stop()
            if time >= $until
               || !grep { $_->busy() } @{$self->{terminals}};
        $loop->after(0.05, $look);
    };

    return $look->();
}


# Orders by standard input, a line each.

my %order = (
    punch => sub {
        my ($self, $terminal, $pin, $status) = @_;

        $terminal->punch($pin, status => $status);
    },
    off => sub { $_[1]->stop($_[2]) },
    on => sub { $_[1]->start() },
    skew => sub { $_[1]{skew} = $_[2] || 0 },
    enroll => sub {
        my ($self, $terminal, $pin, $name) = @_;

        $terminal->{users}{$pin} = { pin => $pin, name => $name || '',
            pri => 0, passwd => '', card => '', grp => 1,
            tz => '0000000100000000', verify => -1 };
        $terminal->{bio}{$pin} = $self->biometrics($terminal->model);
        $terminal->operation(6, 0, $pin, 6);
        $terminal->upload_person($pin);
        $terminal->turn();
    },
);


sub _control {
    my ($self) = @_;

    my $text = '';

    STDIN->blocking(0);

    $self->{loop}->watch(\*STDIN, sub {
        my $n = sysread STDIN, $text, 4096, length $text;

        return if !defined $n;

        if ($n == 0) {
            $self->{loop}->unwatch(\*STDIN);
            return $self->_drain();
        }

        while ($text =~ s/^(.*)\n//) {
            my ($verb, $sn, @rest) = split ' ', $1, 4;

            next if !defined $verb;

            if ($verb eq 'figures') {
                $self->_figures();
                next;
            }

            my $terminal = $self->{by_sn}{defined $sn ? $sn : ''};
            my $code = $order{$verb};

            if ($code && $terminal) {
                $code->($self, $terminal, @rest);
            } else {
                print STDERR "iclock-simulator: ",
                    $code ? "no terminal \"$sn\"\n" : "no order \"$verb\"\n";
            }
        }
    });

    return;
}


# one line of JSON

sub _figures {
    my ($self) = @_;

    require JSON::PP;

    my $waiting = 0;

    $waiting += $_->unsent() for @{$self->{terminals}};

    print JSON::PP->new->canonical->encode({
        seconds => 0 + sprintf('%.3f', time - $self->{started}),
        waiting => $waiting, devices => scalar @{$self->{terminals}},
        counters => $self->{counter}, complaints => $self->{complaint} }),
        "\n";

    return;
}


# The figures, and the status to exit with: 0 if the server has acknowledged
# everything and said nothing that a terminal does not like.

sub _end {
    my ($self) = @_;

    my $c = $self->{counter};
    my $waiting = 0;

    $waiting += $_->unsent() for @{$self->{terminals}};

    if ($self->{json}) {
        $self->_figures();

    } elsif (!$self->{quiet}) {
        printf "%d terminals, %.1f s: %s%s\n", scalar @{$self->{terminals}},
               time - $self->{started},
               join(', ', map { "$_ $c->{$_}" } sort keys %$c),
               $waiting ? "; not acknowledged: $waiting" : '';
    }

    return $waiting || %{$self->{complaint}} ? 1 : 0;
}


1;
