package IClock::Simulator::Terminal;

# Copyright (C) the ngx_http_iclock_module authors

# What a terminal does: it shakes hands, uploads what it has, asks for commands
# and executes them.  It has at most one request under way; turn() begins the
# next one, and each request ends in turn().

use strict;
use warnings;

use parent 'IClock::Simulator::Device';

use MIME::Base64 qw/ encode_base64 /;
use Time::HiRes qw/ time /;
use Time::Local qw/ timegm /;

use IClock::Simulator::Commands;
use IClock::Simulator::Models;
use IClock::Simulator::Picture;

# bytes of one upload, but for a single record that has more
use constant BODY => 60_000;

# after so many failures in a row it shakes hands again
use constant RECONNECT => 3;

# gaps between the first polls after a handshake, of a delay of ten seconds
my @ramp = (1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9);

# in the order of their worth; each says whether it has begun something
my @steps = qw/ _shake _report _ask_time _execute _send_lines _send_photo
                _send_punches _answer _poll /;


# power

sub start {
    my ($self) = @_;

    $self->{off} = 0;
    $self->{epoch}++;
    $self->{busy} = 0;
    $self->{settings} = undef;
    $self->{not_before} = $self->{failures} = 0;
    $self->operation(0);
    $self->turn();

    return;
}


# whether it has still to say something

sub busy {
    my ($self) = @_;

    return !$self->{off} && (!$self->{settings} || $self->unsent()
                             || @{$self->{lines}} || @{$self->{answers}});
}


# off for so many seconds; undef: until start()

sub stop {
    my ($self, $seconds) = @_;

    $self->{off} = 1;
    $self->{epoch}++;
    $self->{world}{loop}->cancel($self->{timer});

    if (defined $seconds) {
        my $epoch = $self->{epoch};

        $self->_after($seconds, sub {
            $self->start() if $self->{epoch} == $epoch;
        });
    }

    return;
}


# terminals that are hurried wait for less time

sub _after {
    my ($self, $seconds, $code) = @_;

    my $world = $self->{world};

    return $world->{loop}->after($seconds / $world->{speed}, $code);
}


sub _wait_until {
    my ($self, $when) = @_;

    my $loop = $self->{world}{loop};
    my $seconds = $when - time;

    $loop->cancel($self->{timer});
    $self->{timer} = $loop->after($seconds > 0 ? $seconds : 0,
                                  sub { $self->turn() });

    return 1;
}


sub _in {
    my ($self, $seconds) = @_;

    return time + $seconds / $self->{world}{speed};
}


sub turn {
    my ($self) = @_;

    return if $self->{busy} || $self->{off};

    return $self->_wait_until($self->{not_before})
        if $self->{not_before} > time;

    for my $step (@steps) {
        return if $self->$step();
    }

    return;
}


# a request

sub _ask {
    my ($self, $method, $endpoint, $query, $body, $then, %header) = @_;

    my ($model, $world) = @$self{qw/ model world /};
    my @query = @$query;

    unshift @query, "$model->{sn}=$self->{sn}" if $endpoint ne 'shake';
    push @query, "ComKey=$world->{'comm-key'}"
        if $model->{key_always} && defined $world->{'comm-key'};

    my $name = $endpoint eq 'shake' ? 'cdata' : $endpoint;
    my $uri = "$world->{path}/$name$model->{path}?" . join '&', @query;

    $self->{busy} = 1;
    $world->count("requests_$name");

    $self->{asked} = time;

    my $epoch = $self->{epoch};
    my $bytes = $self->_format($method, $uri, $body, %header);

    $world->trace($self, $bytes);

    $world->{loop}->request($bytes, sub {
        my ($response, $error) = @_;

        $world->traced($self, $uri, $response, $error);

        # it was switched off meanwhile
        return if $self->{epoch} != $epoch;

        $self->{busy} = 0;

        my $why = $self->_refused($response, $error, $endpoint);

        if (!defined $why && defined $body && rand() < $world->{lose}) {
            $world->count('answers_lost');
            $why = 'lost';
        }

        if (defined $why) {
            $self->_failed($response, $then, $endpoint);

        } else {
            $self->{failures} = 0;
            $then->($response);
        }

        $self->turn();
    });

    return 1;
}


sub _format {
    my ($self, $method, $uri, $body, %header) = @_;

    my $model = $self->{model};
    my @line = ("$method $uri HTTP/$model->{http}");

    push @line, "Host: $self->{world}{authority}",
                'User-Agent: iClock Proxy/1.09' if $model->{http} ne '1.0';
    push @line, 'Connection: close', 'Accept: */*';

    if (defined $body) {
        push @line, "Content-Type: $model->{type}" if $model->{type} ne '';
        push @line, 'Content-Length: ' . length $body;
    }

    push @line, map { "$_: $header{$_}" } sort keys %header;

    return join("\r\n", @line) . "\r\n\r\n" . (defined $body ? $body : '');
}


# why a terminal does not take a response for a success; undef: it does

sub _refused {
    my ($self, $response, $error, $endpoint) = @_;

    my $world = $self->{world};

    if (!$response) {
        $world->count('unanswered');
        return $error;
    }

    $world->count("status_$response->{status}");

    return "status $response->{status}" if $response->{status} != 200;

    my ($head, $header) = @$response{qw/ head headers /};

    $world->complain('no Content-Length') if !defined
                                             $header->{'content-length'};
    $world->complain('no Date') if !defined $header->{date};
    $world->complain('more than 2048 bytes of headers')
        if length $head > 2048;
    $world->complain('a header of more than 1024 bytes')
        if grep { length > 1024 } split /\r\n/, $head;
    $world->complain('a reply to commands that is not text/plain')
        if $endpoint eq 'devicecmd'
           && ($header->{'content-type'} || '') !~ m!^text/plain!;

    for (qw/ transfer-encoding content-encoding /) {
        next if !defined $header->{$_};
        $world->complain("$_: $header->{$_}");
        return $_;
    }

    return undef;
}


# It comes again after ErrorDelay, and shakes hands when it has lost its
# connection.

sub _failed {
    my ($self, $response, $then, $endpoint) = @_;

    my $delay = $self->{settings} ? $self->{settings}{ErrorDelay}
                                  : $self->{model}{error_delay};

    $self->{failures}++;
    $self->{not_before} = $self->_in($delay);

    if ($endpoint ne 'shake' && $self->{failures} >= RECONNECT) {
        $self->{settings} = undef;
        $self->{failures} = 0;
    }

    return;
}


# handshake

sub _shake {
    my ($self) = @_;

    return 0 if $self->{settings};

    my ($model, $world) = @$self{qw/ model world /};
    my @query = sprintf $model->{handshake}, $self->{sn};

    push @query, "pushcommkey=$world->{'comm-key'}"
        if defined $world->{'comm-key'} && !$model->{key_always};

    return $self->_ask('GET', 'shake', \@query, undef,
                       sub { $self->_shaken($_[0]) });
}


# a number, or the default if there is none

sub _number {
    my ($value, $default) = @_;

    return defined $value && $value =~ /^\s*(-?\d+)/ ? $1 : $default;
}


sub _shaken {
    my ($self, $response) = @_;

    my ($model, $world) = @$self{qw/ model world /};
    my $body = $response->{body};

    if ($body !~ /^GET OPTION FROM:/) {
        $world->complain('a handshake without GET OPTION FROM');
        $self->{not_before} = $self->_in($model->{error_delay});
        return;
    }

    $world->complain('a handshake whose last line has no end')
        if $body !~ /\n\z/;
    $world->complain('a line of more than 2048 bytes in a handshake')
        if grep { length > 2048 } split /\n/, $body;

    my %said = $body =~ /^(\w+)=(.*?)\r?$/mg;

    $said{Delay} = _number($said{Delay}, 10) || 10;
    $said{ErrorDelay} = _number($said{ErrorDelay}, 30) || 30;

    $self->{settings} = \%said;
    $self->{polls} = 0;
    $self->{poll_at} = 0;
    $self->{told} = '';
    $self->{sync_at} = 0;
    $self->{wants} = $self->_wanted($said{TransFlag});
    $self->{report} = $model->{options}
                      && _number($said{PushOptionsFlag}, 0) == 1;

    $self->_set_clock($response->{headers}{date}, $said{TimeZone});
    $self->_obey_stamps(\%said);
    $world->count('handshakes');
    $world->says($self, 'handshake');

    return;
}


# the words of TransFlag, or nothing where they are written as the model does
# not read them

sub _wanted {
    my ($self, $flag) = @_;

    my @order = $self->{model}{dialect} eq '3.2'
        ? qw/ AttLog OpLog AttPhoto EnrollUser ChgUser EnrollFP ChgFP FPImag
              EnrollFACE ChgFACE /
        : qw/ AttLog OpLog AttPhoto EnrollFP EnrollUser FPImag ChgUser ChgFP
              FACE UserPic WORKCODE BioPhoto /;

    $flag = '' if !defined $flag;

    if ($flag =~ /^\s*([01]+)\s*$/) {
        my @digit = split //, $1;

        return { map { $order[$_] => 1 }
                 grep { $digit[$_] } 0 .. ($#digit < $#order ? $#digit
                                                             : $#order) };
    }

    my $how = $self->{model}{trans};

    $flag =~ s/^TransData //;

    return { map { $_ => 1 } split $how eq 'tabs' ? qr/\t/
                                 : $how eq 'spaces' ? qr/ / : qr/[\t ]+/,
                                   $flag };
}


my %month = do {
    my $n = 0;
    map { $_ => $n++ } qw/ Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec /;
};


# The clock goes by the header Date, and by the zone of the server if there is
# one: hours, or else minutes.

sub _set_clock {
    my ($self, $date, $zone) = @_;

    return if !defined $zone || $zone !~ /^\s*[+-]?\d/;

    my $world = $self->{world};

    $self->{skew} = $world->{skew};

    if (!$world->{skew} && defined $date
        && $date =~ /(\d+) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT/)
    {
        my $then = timegm($6, $5, $4, $1, $month{$2}, $3);

        # it may have been written at any time since it was asked for
        my $now = time;
        my $asked = $self->{asked};
        my $ahead = $then > $now ? $then - $now
                    : $then < $asked ? $then - $asked : 0;

        # nearer than its seconds can tell
        $self->{skew} = $ahead if abs $ahead > 2;
    }

    if ($zone =~ /^([+-]?)(\d\d?):(\d\d)/) {
        $self->{offset} = ($1 eq '-' ? -60 : 60) * (60 * $2 + $3);

    } else {
        my $value = _number($zone =~ s/^\s*\+//r, 0);

        $self->{offset} = abs $value < 25 ? 3600 * $value : 60 * $value;
    }

    return;
}


# A stamp of 0 asks for everything again.  Old firmware goes on behind the
# record that the server names.

sub _obey_stamps {
    my ($self, $said) = @_;

    my $model = $self->{model};
    my $stamp = $said->{ATTLOGStamp};

    $stamp = $said->{Stamp} if !defined $stamp && $model->{bare};

    if ($model->{stamps} eq 'nominal') {
        $self->{sent} = 0 if defined $stamp && $stamp eq '0';

    } else {
        $self->{sent} = $self->_position($stamp);
    }

    my $people = $said->{OPERLOGStamp};

    $people = $said->{OpStamp} if !defined $people && $model->{bare};

    if (defined $people && $people eq '0' && $self->{wants}{EnrollUser}) {
        $self->{lines} = [ grep { $_->[1] =~ /^OPLOG/ } @{$self->{lines}} ];
        $self->upload_person($_) for sort keys %{$self->{users}};
    }

    return;
}


# options

sub _report {
    my ($self) = @_;

    return 0 if !$self->{report};

    my %set = %{$self->{option}};
    my @pair = map { [ $_->[0], exists $set{$_->[0]} ? delete $set{$_->[0]}
                                                     : $_->[1] ] }
               IClock::Simulator::Models::options($self->{model}, $self);

    push @pair, map { [ $_, $set{$_} ] } sort keys %set;

    return $self->_ask('POST', 'cdata', [ 'table=options' ],
                       join(',', map { "$_->[0]=$_->[1]" } @pair), sub {
        my ($response) = @_;

        $self->{world}->complain('table=options is not answered with OK')
            if $response->{body} !~ /^OK\s*\z/;
        $self->{report} = 0;
    });
}


# clocks of SDK 3.2.0

sub _ask_time {
    my ($self) = @_;

    my $settings = $self->{settings};
    my $every = _number($settings->{SyncTime}, 0);

    return 0 if $self->{model}{dialect} ne '3.2' || !$every
                || $self->{sync_at} > time;

    return $self->_ask('GET', 'cdata', [ 'type=time' ], undef, sub {
        my ($response) = @_;

        $self->{sync_at} = $self->_in($every);

        if ($response->{body}
            =~ /^Time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([+-]\d\d:\d\d)\s*\z/)
        {
            $self->_set_clock(undef, $1);

        } else {
            $self->{world}->complain('no time where it was asked for');
        }
    });
}


# all lines that wait, as many as one upload takes

sub _send_lines {
    my ($self) = @_;

    my ($lines, $model) = @$self{qw/ lines model /};

    return 0 if !@$lines;

    if (!$self->{wants}{OpLog}) {
        @$lines = grep { $_->[1] !~ /^OPLOG/ } @$lines;
        return 0 if !@$lines;
    }

    my ($table) = @{$lines->[0]};
    my ($n, $body) = (0, '');

    while ($n < @$lines && $n < $model->{batch} && $lines->[$n][0] eq $table
           && length $body < BODY)
    {
        $body .= "$lines->[$n++][1]\n";
    }

    my $stamp = $self->stamp($self->clock());

    $stamp = ($model->{stamps} eq 'number' ? 'OpStamp' : 'Stamp') . "=$stamp";

    return $self->_ask('POST', 'cdata', [ "table=$table", $stamp ], $body, sub {
        $self->_acknowledged($_[0], $n, sub {
            $self->{world}->count('lines', $n);
            splice @$lines, 0, $n;
        });
    });
}


# A server has to count each line that it got, or else the terminal sends them
# again for ever.

sub _acknowledged {
    my ($self, $response, $n, $done) = @_;

    my ($count) = $response->{body} =~ /^OK:\s?(\d+)\s*\z/;

    if (!defined $count || $count != $n) {
        $self->{world}->complain('an upload is not answered with OK: and the'
                                 . ' number of its lines');
        $self->{not_before} = $self->_in($self->{settings}{ErrorDelay});
        return;
    }

    $done->();
    $self->{poll_at} = 0;

    return;
}


sub _send_punches {
    my ($self) = @_;

    my ($all, $model) = @$self{qw/ punches model /};

    return 0 if $self->{sent} >= @$all || !$self->{wants}{AttLog}
                || !$self->_may_send();

    my $end = $self->{sent} + $model->{batch};

    $end = @$all if $end > @$all;

    # so that the server knows that it is there still
    if (++$self->{in_a_row} % 10 == 0 && $model->{dialect} eq '2.4') {
        return $self->_ask('GET', 'ping', [], undef, sub { });
    }

    my @punch = @$all[$self->{sent} .. $end - 1];
    my $n = @punch;
    my $stamp = $self->stamp($punch[-1]{time});

    return $self->_ask('POST', 'cdata', [ 'table=ATTLOG', "Stamp=$stamp" ],
                       join('', map { $self->punch_line($_) . "\n" } @punch),
                       sub {
        $self->_acknowledged($_[0], $n, sub {
            $self->{world}->count('acknowledged', $n);
            $self->{sent} = $end;
        });
    });
}


# at once, or when it looks for what is new

sub _may_send {
    my ($self) = @_;

    my $settings = $self->{settings};

    return 1 if _number($settings->{Realtime}, 1);

    my $minutes = _number($settings->{TransInterval}, 0) || 1;

    if (!$self->{look_at} || $self->{look_at} <= time || $self->{look_now}) {
        $self->{look_at} = $self->_in(60 * $minutes);
        $self->{look_now} = 0;
        $self->{looking} = @{$self->{punches}};
    }

    return $self->{sent} < $self->{looking};
}


# A photo that is not acknowledged keeps what comes behind it.

sub _send_photo {
    my ($self) = @_;

    my ($photos, $world) = @$self{qw/ photos world /};

    return 0 if !@$photos;

    if (!$self->{wants}{AttPhoto}) {
        @$photos = ();
        return 0;
    }

    my $photo = $photos->[0];
    my $jpeg = IClock::Simulator::Picture::jpeg(
                   seed => $photo->{seed}, bytes => $world->{'photo-bytes'});
    my $base64 = _number($self->{settings}{ATTPHOTOBase64}, 0);
    my $head = "PIN=$photo->{name}\nSN=$self->{sn}\nsize=" . length($jpeg)
               . "\nCMD=uploadphoto";
    my $stamp = $self->stamp($photo->{time});

    return $self->_ask('POST', 'cdata', [ 'table=ATTPHOTO', "Stamp=$stamp" ],
                       $head . ($base64 ? "\npicture="
                                          . encode_base64($jpeg, '')
                                        : "\0$jpeg"), sub {
        if ($_[0]{body} !~ /^OK/) {
            $world->complain('a photo is not answered with OK');
            $self->{not_before} = $self->_in($self->{settings}{ErrorDelay});
            return;
        }

        $world->count('photos_acknowledged');
        shift @$photos;
        $self->{poll_at} = 0;
    }, $self->{model}{name} eq 'face' && length $jpeg > 1024
       ? (Expect => '100-continue') : ());
}


sub _poll {
    my ($self) = @_;

    if ($self->{poll_at} > time) {
        $self->{in_a_row} = 0;
        return $self->_wait_until($self->{poll_at});
    }

    my $info = $self->_info();
    my $told = $self->{told} eq $info;

    return $self->_ask('GET', 'getrequest', $told ? [] : [ "INFO=$info" ],
                       undef, sub {
        my ($response) = @_;
        my $delay = $self->{settings}{Delay};
        my $gap = $self->{polls} < @ramp
                  ? $ramp[$self->{polls}++] * $delay / 10 : $delay;

        $self->{told} = $info;
        $self->{poll_at} = $self->_in($gap);
        $self->_take($response->{body});
    });
}


# What a poll has brought.  Ids that are too long for a model are not there.

sub _take {
    my ($self, $body) = @_;

    my ($model, $world) = @$self{qw/ model world /};
    my @command;

    return if $body =~ /^OK\s*\z/;

    for my $line (split /\r?\n/, $body) {
        if ($line =~ /^C:(\w+):(.*)/s) {
            push @command, [ $1, $2 ] if length $1 <= $model->{digits};
        } elsif ($line ne '') {
            $world->complain('a line of a poll that is no command');
        }
    }

    $world->complain('more than 200 commands at once') if @command > 200;
    @command = @command[0 .. $model->{at_once} - 1]
        if $model->{at_once} && @command > $model->{at_once};

    push @{$self->{commands}}, @command;
    $world->count('commands', scalar @command);

    return;
}


# One after the other, and each takes its time.

sub _execute {
    my ($self) = @_;

    my $commands = $self->{commands};

    return 0 if !@$commands;
    return 0 if @{$self->{answers}} && !$self->{model}{together};

    my ($id, $text) = @{shift @$commands};
    my $epoch = $self->{epoch};

    $self->{busy} = 1;
    $self->{world}->says($self, "command $id: "
                                . IClock::Simulator::Commands::named($text));

    $self->_after(IClock::Simulator::Commands::takes($self, $text), sub {
        return if $self->{epoch} != $epoch;

        $self->{busy} = 0;
        IClock::Simulator::Commands::execute($self, $id, $text);
        $self->turn();
    });

    return 1;
}


# Answers are kept until the server has taken them; what has a content stands
# alone.

sub _answer {
    my ($self) = @_;

    my ($answers, $model) = @$self{qw/ answers model /};

    return 0 if !@$answers;

    my ($n, $body) = (0, '');

    while ($n < @$answers) {
        last if $n && ($answers->[$n]{alone} || !$model->{together});

        my $text = $answers->[$n]{text};

        $text =~ s/\n/\r\n/g
            if !$answers->[$n]{alone}
               && ($model->{eol} eq 'crlf' || $model->{eol} eq 'mixed'
                                              && $n % 2);
        $body .= $text;
        last if $answers->[$n++]{alone};
    }

    return $self->_ask('POST', 'devicecmd', [], $body, sub {
        my @told = splice @$answers, 0, $n;

        $self->{world}->count('answers', $n);
        $self->{world}->count('refused_commands',
                              scalar grep { $_->{return} < 0 } @told);
        $self->{poll_at} = 0;

        if (grep { $_->{reboot} } @told) {
            @{$self->{commands}} = ();
            $self->operation(1);
            $self->stop(10 + rand 20);
        }
    });
}


1;
