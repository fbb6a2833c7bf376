package IClock::Simulator::Commands;

# Copyright (C) the ngx_http_iclock_module authors

# What a terminal does with a command.  A verb is a row of @verb; its code gets
# the terminal and what stands behind the verb, and returns the number to
# answer, the text of CMD, and more where the answer has more.

use strict;
use warnings;

use MIME::Base64 qw/ decode_base64 /;

use IClock::Simulator::Models;

# templates with a name of their own, and their type
my %legacy = (FINGERTMP => 1, FACE => 2, FVEIN => 7);

# verb, code, and how many seconds it takes at least and at most; in the order
# in which they are looked for

my @verb = (
    [ 'DATA UPDATE ', \&_update, 0.02, 0.2 ],
    [ 'DATA FP ', sub { _update($_[0], "FINGERTMP $_[1]") }, 0.02, 0.2 ],
    [ 'DATA DELETE ', \&_delete, 0.02, 0.2 ],
    [ 'DATA QUERY ', \&_query, 0.1, 1 ],
    [ 'CLEAR ', \&_clear, 0.5, 2 ],
    [ 'CHECK', \&_check, 0.1, 0.5 ], [ 'LOG', \&_log, 0.02, 0.1 ],
    [ 'VERIFY SUM ATTLOG ', \&_sum, 0.1, 0.5 ],
    [ 'SET OPTION ', \&_set, 0.05, 0.3 ],
    [ 'RELOAD OPTIONS', \&_reload, 0.1, 0.5 ],
    [ 'INFO', \&_info, 0.1, 0.5 ],
    [ 'ENROLL_FP ', sub { _enroll(@_, 'ENROLL_FP', 1) }, 4, 12 ],
    [ 'ENROLL_BIO ', sub { _enroll(@_, 'ENROLL_BIO') }, 4, 12 ],
    [ 'ENROLL_MF ', \&_enroll_card, 2, 6 ],
    [ 'REBOOT', sub { (0, 'REBOOT', reboot => 1) }, 0, 0.1 ],
    [ 'AC_UNLOCK', sub { $_[0]->operation(51); (0, 'AC_UNLOCK') }, 0, 0.1 ],
    [ 'AC_UNALARM', sub { (0, 'AC_UNALARM') }, 0, 0.1 ],
    [ 'RESET ALL ', sub { (0, 'RESET') }, 0.1, 0.5 ],
    [ 'SHELL ', sub { (0, 'Shell', content => "no shell here\n",
                       file => 'shellout.txt') }, 0.1, 1 ],
    [ 'GetFile ', sub { (-3, 'GetFile') }, 0.1, 0.5 ],
    [ 'PutFile ', sub { (-1008, 'PutFile') }, 1, 3 ],
    [ 'UPGRADE ', sub { (-1008, 'UPGRADE') }, 1, 3 ],
);


sub _row {
    my ($text) = @_;

    for my $row (@verb) {
        my $verb = $row->[0];

        return $row if index($text, $verb) == 0
                       && ($verb =~ / \z/ || $text eq $verb);
    }

    return undef;
}


# the words of a command that are no data

sub named {
    my ($text) = @_;

    return $text =~ /^((?:DATA|CLEAR|RESET|SET|RELOAD|VERIFY)(?: [A-Z_]+)+|\w+)/
           ? $1 : '?';
}


# how many seconds a command takes

sub takes {
    my ($terminal, $text) = @_;

    my $row = _row($text) or return 0;

    return $row->[2] + rand($row->[3] - $row->[2]);
}


# Executes a command and puts its answer behind the others.

sub execute {
    my ($terminal, $id, $text) = @_;

    my $model = $terminal->model;
    my $row = _row($text);
    my ($return, $cmd, %more) = (-22, $text =~ /^(\w+)/);

    if (grep { index($text, $_) == 0 } @{$model->{cannot}}) {
        $return = $model->{dialect} eq '3.2' ? -22 : -1004;
    } elsif ($row) {
        ($return, $cmd, %more)
            = $row->[1]->($terminal, substr $text, length $row->[0]);
    }

    my $sn = $model->{dialect} eq '3.2' ? '&SN=' . $terminal->sn : '';
    my $answer = { return => $return, reboot => $more{reboot} };

    if (defined $more{content}) {
        $answer->{alone} = 1;
        $answer->{text} = "ID=$id\nSN=" . $terminal->sn . "\n"
                          . "FILENAME=$more{file}\nCMD=$cmd\nReturn=$return\n"
                          . "Content=$more{content}";
    } else {
        $answer->{text} = "ID=$id$sn&Return=$return&CMD=$cmd"
                          . ($more{more} || '') . "\n" . ($more{block} || '');
    }

    push @{$terminal->{answers}}, $answer;

    return;
}


# fields by their names in lower case

sub _fields {
    my ($text) = @_;

    return map { /^([^=]+)=(.*)/s ? (lc $1 => $2) : () } split /\t/, $text;
}


# Fields that a record leaves out are lost.  Spaces where tabs should be make
# one long field of it: the terminal says 0 and keeps nothing.

sub _update {
    my ($t, $text) = @_;

    my ($table, $rest) = $text =~ /^(\S+) (.*)/s or return (-1, 'DATA');
    my %field = _fields($rest);

    $table = uc $table;

    return _update_user($t, $rest, %field) if $table eq 'USERINFO';
    return _update_template($t, $table, %field)
        if $legacy{$table} || $table eq 'BIODATA';
    return _update_photo($t, $table, %field)
        if $table eq 'USERPIC' || $table eq 'BIOPHOTO';

    # what it keeps and shows nobody: messages, work codes, time periods
    my ($first) = $rest =~ /^([^\t]*)/;

    $t->{tables}{$table}{$first} = $rest;

    return (0, 'DATA');
}


sub _update_user {
    my ($t, $rest, %field) = @_;

    my $pin = $field{pin};

    return (-1, 'DATA') if !defined $pin || $pin eq '';
    return (0, 'DATA') if $pin =~ / \w+=/;

    my %user = (pin => $pin, name => '', pri => 0, passwd => '', card => '',
                grp => 1, tz => '0000000000000000', verify => -1);

    $field{verify} = $field{verifymode} if defined $field{verifymode};
    defined $field{$_} and $user{$_} = $field{$_} for keys %user;

    # the other terminals have the old record
    $t->{users}{$pin} = \%user;
    $t->{bio}{$pin} ||= {};
    push @{$t->{lines}}, [ 'OPERLOG', $t->user_line($pin) ]
        if $t->model->{echoes};

    return (0, 'DATA');
}


sub _update_template {
    my ($t, $table, %field) = @_;

    my $type = $table eq 'BIODATA' ? $field{type} : $legacy{$table};
    my $no = defined $field{fid} ? $field{fid} : $field{no};
    my $data = $field{tmp};

    return (-1, 'DATA') if !defined $data || !defined $type;
    return (-10, 'DATA') if !defined $field{pin}
                            || !$t->{users}{$field{pin}};
    return (-9, 'DATA') if defined $field{size}
                           && $field{size} != length $data;

    my $mine = $t->version($type);
    my $version = $table eq 'BIODATA' ? $field{majorver}
                : $type == 1 ? ($data =~ /^oco/ ? 9 : 10) : $mine;

    return (-1002, 'DATA') if !$mine;
    return (-30, 'DATA') if $version != $mine;

    $t->own_bio($field{pin})->{"$type/" . ($no || 0)} = $data;

    return (0, 'DATA');
}


sub _update_photo {
    my ($t, $table, %field) = @_;

    my $content = $field{content};

    return (-3, 'DATA') if !defined $field{pin};
    return (-1008, 'DATA') if $field{url};
    return (-2, 'DATA') if !defined $content || defined $field{size}
                           && $field{size} != length $content;
    return (-3, 'DATA') if decode_base64($content) !~ /\A\xff\xd8/;

    # a photo becomes a template of the face
    if ($table eq 'BIOPHOTO') {
        return (-1004, 'DATA') if $t->model->{face} <= 10;

        my $place = IClock::Simulator::Models::face_type($t->model) . '/0';

        $t->own_bio($field{pin})->{$place} = 1;
        push @{$t->{lines}}, $t->template_line($field{pin}, $place)
            if ($field{postbacktmpflag} || 0) == 1
               && $t->{users}{$field{pin}};
    }

    $t->{photos_of}{$table}{$field{pin}} = 1;

    return (0, 'DATA');
}


sub _is {
    my ($asked, $value) = @_;

    return !defined $asked || $asked eq $value;
}


sub _delete {
    my ($t, $text) = @_;

    my ($table, $rest) = $text =~ /^(\S+) ?(.*)/s or return (-1, 'DATA');
    my %field = _fields($rest);
    my $pin = $field{pin};

    $table = uc $table;

    if ($table eq 'USERINFO') {
        return (-10, 'DATA') if defined $pin && !$t->{users}{$pin};

        for (defined $pin ? $pin : keys %{$t->{users}}) {
            delete $t->{users}{$_};
            delete $t->{bio}{$_};
        }

    } elsif ($legacy{$table} || $table eq 'BIODATA') {
        my $type = $legacy{$table} || $field{type};
        my $no = defined $field{fid} ? $field{fid} : $field{no};

        for my $pin (defined $pin ? $pin : keys %{$t->{bio}}) {
            my $bio = $t->own_bio($pin);

            for my $place (keys %$bio) {
                my @place = split m!/!, $place;

                delete $bio->{$place} if _is($type, $place[0])
                                         && _is($no, $place[1]);
            }
        }

    } elsif ($rest eq '') {
        delete $t->{tables}{$table};

    } else {
        delete $t->{tables}{$table}{(split /\t/, $rest)[0]};
        delete $t->{photos_of}{$table}{$pin} if defined $pin;
    }

    return (0, 'DATA');
}


# What is found comes as an ordinary upload; the answer counts it.

sub _query {
    my ($t, $text) = @_;

    my ($table, $rest) = $text =~ /^(\S+) ?(.*)/s or return (-1, 'DATA');
    my %field = _fields($rest);

    if (uc $table eq 'ATTLOG') {
        my @punch = _between($t, %field);

        push @{$t->{lines}}, map { [ 'ATTLOG', $t->punch_line($_) ] } @punch;

        return (scalar @punch, 'DATA');
    }

    return (0, 'DATA') if uc $table eq 'ATTPHOTO';

    my $n = @{$t->{lines}};

    for my $pin (grep { _is($field{pin}, $_) } sort keys %{$t->{users}}) {
        if (uc $table eq 'USERINFO') {
            push @{$t->{lines}}, [ 'OPERLOG', $t->user_line($pin) ];
            next;
        }

        my $type = $legacy{uc $table} || $field{type};
        my $no = defined $field{no} ? $field{no}
               : defined $field{fid} ? $field{fid} : $field{fingerid};

        for my $place (sort keys %{$t->{bio}{$pin}}) {
            my @place = split m!/!, $place;

            push @{$t->{lines}}, $t->template_line($pin, $place)
                if _is($type, $place[0]) && _is($no, $place[1]);
        }
    }

    $n = @{$t->{lines}} - $n;

    return (-4, 'DATA') if !$n && defined $field{pin};

    return ($n, 'DATA');
}


# punches of a range of time; SDK 3.2.0 puts a T between date and time

sub _between {
    my ($t, %field) = @_;

    my ($starts, $ends) = map { (defined $_ ? $_ : '') =~ s/T/ /r }
                          @field{qw/ starttime endtime /};

    return grep { $_->{time} ge $starts && $_->{time} le $ends }
           @{$t->{punches}};
}


sub _clear {
    my ($t, $what) = @_;

    if ($what eq 'LOG' || $what eq 'DATA') {
        @{$t->{punches}} = ();
        $t->{sent} = 0;
    }

    if ($what eq 'DATA' || $what eq 'ALL USERINFO') {
        %{$t->{$_}} = () for qw/ users bio photos_of /;
    } elsif ($what eq 'BIODATA') {
        $t->{bio}{$_} = {} for keys %{$t->{bio}};
    } elsif ($what eq 'PHOTO') {
        @{$t->{photos}} = ();
    }

    return (0, 'CLEAR_' . $what =~ s/ /_/gr);
}


# It shakes hands again, which tells it its stamps; clocks of SDK 3.2.0 only
# report what has changed.

sub _check {
    my ($t) = @_;

    $t->{settings} = undef if $t->model->{dialect} ne '3.2';

    return (0, 'CHECK');
}


sub _log {
    my ($t) = @_;

    $t->{look_now} = 1;

    return (0, 'LOG');
}


sub _sum {
    my ($t, $text) = @_;

    my %field = _fields($text);

    return (0, 'VERIFY SUM',
            more => "&StartTime=$field{starttime}&EndTime=$field{endtime}"
                    . '&AttlogCount=' . scalar _between($t, %field));
}


sub _set {
    my ($t, $text) = @_;

    my ($name, $value) = $text =~ /^([^=]+)=(.*)/s or return (-1, 'SET OPTION');

    $t->{option}{$name} = $value;

    return (0, 'SET OPTION');
}


sub _reload {
    my ($t) = @_;

    $t->{report} = $t->model->{options};

    return (0, 'RELOAD OPTIONS');
}


sub _info {
    my ($t) = @_;

    return (0, 'INFO', block => join '', map { "$_->[0]=$_->[1]\n" }
                IClock::Simulator::Models::options($t->model, $t));
}


# somebody puts a finger on it, or shows a face

sub _enroll {
    my ($t, $text, $cmd, $type) = @_;

    my %field = _fields($text);
    my $pin = $field{pin};

    $type = $field{type} if !defined $type;

    return (-1, $cmd) if !defined $pin || $pin eq '' || !defined $type;
    return (-1002, $cmd) if !$t->version($type);

    my $place = "$type/" . ($field{fid} || 0);

    return (2, $cmd) if $t->{bio}{$pin}{$place} && !$field{overwrite};

    _newcomer($t, $pin);
    $t->own_bio($pin)->{$place} = 1;
    $t->operation(6, 0, $pin, $field{fid} || 0);
    push @{$t->{lines}}, [ 'OPERLOG', $t->user_line($pin) ],
                         $t->template_line($pin, $place);

    return (0, $cmd);
}


sub _enroll_card {
    my ($t, $text) = @_;

    my %field = _fields($text);
    my $pin = $field{pin};

    return (-1, 'ENROLL_MF') if !defined $pin || $pin eq '';

    _newcomer($t, $pin);
    $t->{users}{$pin} = { %{$t->{users}{$pin}},
                          card => 1_000_000 + int rand 9_000_000 };
    push @{$t->{lines}}, [ 'OPERLOG', $t->user_line($pin) ];

    return (0, 'ENROLL_MF');
}


sub _newcomer {
    my ($t, $pin) = @_;

    $t->{users}{$pin} ||= { pin => $pin, name => '', pri => 0, passwd => '',
                            card => '', grp => 1, tz => '0000000000000000',
                            verify => -1 };
    $t->{bio}{$pin} ||= {};

    return;
}


1;
