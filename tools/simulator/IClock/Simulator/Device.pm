package IClock::Simulator::Device;

# Copyright (C) the ngx_http_iclock_module authors

# What a terminal holds - people, templates, punches, photos, a clock - and
# how it writes that down.  It does nothing by itself: see Terminal.pm.

use strict;
use warnings;

use Digest::MD5 qw/ md5 md5_hex /;
use MIME::Base64 qw/ encode_base64 /;
use POSIX qw/ strftime /;
use Time::HiRes qw/ time /;

use IClock::Simulator::Models;


# sn, model (a row of Models.pm), world (IClock::Simulator), index (how many
# terminals there are before it)

sub new {
    my ($class, %option) = @_;

    my $self = bless {
        # people, and [ table, line ] that wait, photos that wait
        users => {}, bio => {}, photos_of => {}, lines => [], photos => [],
        # punches, and how many of them the server has
        punches => [], sent => 0,
        # commands that wait, and their answers
        commands => [], answers => [], tables => {}, option => {},
        files => {}, not_before => 0, failures => 0, told => '', inside => {},
        offset => local_offset(), skew => 0, epoch => 0, in_a_row => 0,
        %option,
    }, $class;

    my $world = $self->{world};

    $self->{skew} = $world->{skew} if $world->{skew};
    $self->{firmware} = $self->{model}{firmware};

    for my $person (@{$world->{people}}) {
        $self->{users}{$person->{pin}} = $person;
        $self->{bio}{$person->{pin}} = $world->biometrics($self->{model});
    }

    return $self;
}


# seconds by which the clock of this machine is ahead of UTC

sub local_offset {
    my @part = strftime('%z', localtime) =~ /^([+-])(\d\d)(\d\d)$/
        or return 0;

    return "${part[0]}1" * 60 * (60 * $part[1] + $part[2]);
}


sub sn { $_[0]{sn} }
sub model { $_[0]{model} }
sub world { $_[0]{world} }
sub user_count { scalar keys %{$_[0]{users}} }
sub punch_count { scalar @{$_[0]{punches}} }
sub unsent { @{$_[0]{punches}} - $_[0]{sent} + @{$_[0]{photos}} }


sub _bio_count {
    my ($self, $type) = @_;

    return scalar grep { m!^\Q$type\E/! } map { keys %$_ }
                  values %{$self->{bio}};
}


sub finger_count { $_[0]->_bio_count(1) }


sub face_count {
    my ($self) = @_;

    return $self->{model}{face}
           ? $self->_bio_count(IClock::Simulator::Models::face_type(
                                   $self->{model}))
           : 0;
}


sub mac {
    my ($self) = @_;

    return join ':', '00:17:61', unpack('H6', md5($self->{sn}))
                                 =~ /(..)(..)(..)/;
}


sub address {
    my ($self) = @_;

    return sprintf '192.168.%d.%d', 1 + $self->{index} / 250,
                   1 + $self->{index} % 250;
}


# its clock, as YYYY-MM-DD hh:mm:ss

sub clock {
    my ($self, $moment) = @_;

    $moment = time if !defined $moment;

    return strftime('%Y-%m-%d %H:%M:%S',
                    gmtime($moment + $self->{offset} + $self->{skew}));
}


# The stamp of a record of that time: old firmware counts seconds of months
# that all have 31 days.

sub stamp {
    my ($self, $clock) = @_;

    my $kind = $self->{model}{stamps};

    return 9999 if $kind eq 'nominal';
    return $clock =~ s/ /T/r if $kind eq 'time';

    my ($y, $m, $d, $hour, $minute, $second) = $clock =~ /\d+/g;

    return ((($y % 100) * 12 + $m - 1) * 31 + $d - 1) * 86_400
           + ($hour * 60 + $minute) * 60 + $second;
}


# people

# the record of a user, as it is uploaded

sub user_line {
    my ($self, $pin) = @_;

    my $u = $self->{users}{$pin};
    my $line = "USER PIN=$pin\tName=$u->{name}\tPri=$u->{pri}"
               . "\tPasswd=$u->{passwd}\tCard=$u->{card}\tGrp=$u->{grp}"
               . "\tTZ=$u->{tz}";

    return $line if $self->{model}{dialect} eq '3.2'
                    || $self->{model}{name} eq 'old';

    return "$line\tVerify=$u->{verify}\tViceCard=\tStartDatetime=0"
           . "\tEndDatetime=0";
}


# Bytes that look like a template, the same for each terminal of a model.
# Nobody's finger can be made of them.

sub template {
    my ($self, $pin, $place) = @_;

    my $own = $self->{bio}{$pin}{$place};

    return $own if $own ne '1';

    my ($type, $no) = split m!/!, $place;
    my $version = $self->version($type);
    my $bytes = join '', map { md5("$pin/$type/$no/$version/$_") }
                             0 .. ($type == 1 ? 24 : 64);

    # algorithm 9 begins with "oco"
    return ($type == 1 && $version == 9 ? 'ocox' : '')
           . encode_base64($bytes, '');
}


# the version of the algorithm of a type of templates

sub version {
    my ($self, $type) = @_;

    my $model = $self->{model};

    return $type == 1 ? $model->{finger}
         : $type == IClock::Simulator::Models::face_type($model)
           ? $model->{face} : $type == 8 && $model->{name} eq 'palm' ? 12 : 0;
}


# [ table, line ] of a template

sub template_line {
    my ($self, $pin, $place) = @_;

    my ($type, $no) = split m!/!, $place;
    my $data = $self->template($pin, $place);
    my $size = length $data;

    return [ 'OPERLOG', "FP PIN=$pin\tFID=$no\tSize=$size\tValid=1"
                        . "\tTMP=$data" ] if $type == 1;
    return [ 'OPERLOG', "FACE PIN=$pin\tFID=$no\tSIZE=$size\tVALID=1"
                        . "\tTMP=$data" ] if $type == 2;

    return [ 'BIODATA', "BIODATA Pin=$pin\tNo=$no\tIndex=0\tValid=1\tDuress=0"
                        . "\tType=$type\tMajorVer=" . $self->version($type)
                        . "\tMinorVer=0\tFormat=0\tTmp=$data" ];
}


# The line of the user comes again before each template.

sub upload_person {
    my ($self, $pin) = @_;

    my $user = $self->{users}{$pin} or return;
    my $line = [ 'OPERLOG', $self->user_line($pin) ];

    push @{$self->{lines}}, $line;

    for my $place (sort keys %{$self->{bio}{$pin}}) {
        my ($type) = split m!/!, $place;

        next if !$self->_may_upload($type)
                || !$self->{wants}{$type == 1 ? 'EnrollFP' : 'FACE'};
        push @{$self->{lines}}, $line, $self->template_line($pin, $place);
    }

    return;
}


# an event of the operation log

sub operation {
    my ($self, $code, $who, @object) = @_;

    push @object, 0 while @object < 4;
    push @{$self->{lines}},
        [ 'OPERLOG', join "\t", "OPLOG $code", $who || 0, $self->clock(),
                                @object[0 .. 3] ];

    return;
}


# punches

# Somebody stands before it.  Options: status, verify, time, quiet (only
# kept).

sub punch {
    my ($self, $pin, %option) = @_;

    my ($model, $world) = @$self{qw/ model world /};
    my $verify = $model->{verify};
    my $clock = $option{time} || $self->clock();
    my $status = $option{status};

    $status = $self->{inside}{$pin} ? 1 : 0 if !defined $status;
    $self->{inside}{$pin} = $status == 0;

    my $punch = { pin => $pin, time => $clock, status => $status,
                  verify => defined $option{verify} ? $option{verify}
                            : $verify->[rand @$verify] };

    $punch->{warmth} = sprintf '%.1f', 36.1 + rand 0.7
        if $model->{thermometer};

    push @{$self->{punches}}, $punch;

    return if $option{quiet};

    $world->count('punches');
    $world->says($self, "punch of $pin");
    $self->_photograph($punch)
        if $model->{camera} && rand() < $world->{photos};
    $self->turn();

    return;
}


# The photo of a punch, or of somebody whom the terminal does not know.

sub _photograph {
    my ($self, $punch) = @_;

    my $name = $punch->{time} =~ s/\D//gr;

    $name .= "-$punch->{pin}" if $punch->{pin} ne '';

    push @{$self->{photos}}, { name => "$name.jpg", time => $punch->{time},
                               seed => hex substr md5_hex($punch->{pin}), 0,
                                                   6 };
    $self->{world}->count('photos');

    return;
}


sub punch_line {
    my ($self, $punch) = @_;

    my $columns = $self->{model}{columns};
    my @column = (@$punch{qw/ pin time status verify /}, 0, 0, 0);

    # mask and temperature, 0 where nobody measures it; then the clock's
    # distance from UTC and more
    push @column, 0, $punch->{warmth} || 0, 0 if $columns >= 10;
    push @column, sprintf('%+d', $self->{offset}), '' if $columns == 12;

    # job codes and tip codes
    @column = (@column[0 .. 6], (0) x 6, ('0.0') x 3) if $columns == 16;

    return join("\t", $columns < 7 ? @column[0 .. $columns - 1] : @column)
           . ($columns == 10 ? "\t" : '');
}


# how many punches are not younger than a stamp

sub _position {
    my ($self, $stamp) = @_;

    my $punch = $self->{punches};
    my ($low, $high) = (0, scalar @$punch);

    return 0 if !defined $stamp || $stamp !~ /^\d/ || $stamp eq '0';

    while ($low < $high) {
        my $i = ($low + $high) >> 1;
        my $own = $self->stamp($punch->[$i]{time});

        if ($self->{model}{stamps} eq 'time' ? $own gt $stamp
                                             : $own > $stamp) {
            $high = $i;
        } else {
            $low = $i + 1;
        }
    }

    return $low;
}


# Whether the server takes templates of a type: what newer terminals have no
# leave for they do not upload.

sub _may_upload {
    my ($self, $type) = @_;

    my $list = $self->{settings}{MultiBioDataSupport};

    return 1 if $self->{model}{face} <= 10 || $type < 2;
    return 0 if !defined $list;

    return (split /:/, $list)[$type] ? 1 : 0;
}


# commands

sub _info {
    my ($self) = @_;

    my $model = $self->{model};
    my $info = join ',', $self->{firmware}, $self->user_count,
        $self->finger_count, $self->punch_count, $self->address,
        $model->{finger},
        $model->{dialect} eq '3.2' ? (-1, -12)
                                   : ($model->{face} || -1, 15,
                                      $self->face_count),
        $model->{flags};

    $info = " $info" if $model->{dialect} eq '3.2';
    $info =~ s/ /%20/g if !$model->{spaces};

    return $info;
}


# Templates of somebody, to be changed: until then all terminals of a model
# share them.

sub own_bio {
    my ($self, $pin) = @_;

    return $self->{bio}{$pin} = { %{$self->{bio}{$pin} || {}} };
}


1;
