package Test::IClock::Terminal;

# Copyright (C) the ngx_http_iclock_module authors

# A terminal that acts: it keeps users, templates, photos, punches, options
# and files in memory, executes the commands that it gets, and answers them
# as terminals do.  Nothing happens on its own: online() is its start, work()
# one poll and what follows from it.

use strict;
use warnings;

use parent 'Test::IClock::Device';

use Carp qw/ croak /;
use Digest::MD5 qw/ md5_hex /;
use MIME::Base64 qw/ decode_base64 encode_base64 /;
use POSIX qw/ strftime /;

use Test::IClock::HTTP ();

# bytes of a file that are asked for at once
use constant PIECE => 40_000;

my %legacy = (FINGERTMP => 1, FACE => 2, FVEIN => 7);

# the fields that tell the records of a table apart; the first field of all
# others
my %key = (USER_SMS => [qw/ pin uid /], WORKCODE => ['code'],
           SMS => ['uid'], JOBCODE => [qw/ number jobcodegroupid /]);


# Options besides those of Test::IClock::Device:
#   dialect      2.4 or 3.2
#   algorithms   version of the algorithm of each type: { 1 => 10, 9 => 40 }
#   cannot       beginnings of commands that this model refuses: [ ... ]
#   echoes       uploads what it was told to store, as many models do
#   name_bytes   cuts names off after so many bytes
#   eol          of answers: "\n", "\r\n" or "mixed"
#   count_name   AttlogSum or AttlogCount
#   lose         how many answers are lost before the next one arrives
#   shell        what answers SHELL: code that gets the command
#   files        { path => content }

sub new {
    my ($class, $sn, %option) = @_;

    return $class->SUPER::new($sn,
        dialect => '2.4', algorithms => { 1 => 10 }, cannot => [], lose => 0,
        eol => "\n", count_name => 'AttlogSum', files => {}, pieces => 0,
        shell => sub { '' }, %option,
        users => {}, templates => {}, photos => {}, tables => {},
        punches => [], option => {}, done => [], got => {}, returned => {},
        reboots => 0, opened => 0, told => '', utc_offset => 0);
}


# what it has done: the texts of the commands, the same as { id => text },
# and { id => return code }

sub done { @{$_[0]{done}} }
sub got { $_[0]{got} }
sub returned { $_[0]{returned} }


# the user's record, or the names of what there is of them, "1/6/0/10" being
# type, number, index and version of a template

sub user { $_[0]{users}{$_[1]} }
sub templates { sort keys %{$_[0]{templates}{$_[1]} || {}} }
sub photo_of { $_[0]{photos}{$_[2]}{$_[1]} }


sub _ok {
    my ($self, $response, $what) = @_;

    croak "$self->{sn}: $what: " . $response->text if $response->status != 200;

    return $response;
}


# what a terminal says when it has been switched on

sub online {
    my ($self) = @_;

    my %known = %{$self->{option}};
    my $types = $self->{algorithms};

    $self->{option} = {
        '~DeviceName' => 'Acting Terminal', '~SerialNumber' => $self->{sn},
        'MAC' => '00:17:61:00:00:02', '~OEMVendor' => 'ZKTECO CO., LTD.',
        ($self->{dialect} eq '2.4'
         ? (MultiBioVersion => join ':', map { $types->{$_} || 0 } 0 .. 9)
         : ()),
        FPVersion => $types->{1} || 0, %known,
    };

    my $response = $self->_ok($self->handshake(), 'handshake');

    $self->_report_options();

    return $response;
}


# The clock goes by the zone that the server sends at handshakes, and to
# terminals of dialect 3.2 whenever they ask.  A number too large for hours is
# minutes.

sub handshake {
    my ($self, @query) = @_;

    my $response = $self->SUPER::handshake(@query);

    if ($response->body =~ /^TimeZone=(-?\d+)$/m) {
        $self->{utc_offset} = abs($1) < 25 ? 60 * $1 : $1;
    }

    return $response;
}


sub ask_time {
    my ($self) = @_;

    my $response = $self->_ok($self->send('cdata', ['type=time']), 'time');
    my ($sign, $hours, $minutes)
        = $response->body =~ /^Time=\S{19}([+-])(\d\d):(\d\d)\z/
        or croak "$self->{sn}: no time: " . $response->body;

    $self->{utc_offset} = "${sign}1" * (60 * $hours + $minutes);

    return;
}


# what it shows at a moment, seconds since 1970

sub shows {
    my ($self, $moment) = @_;

    return strftime('%Y-%m-%d %H:%M:%S',
                    gmtime($moment + 60 * $self->{utc_offset}));
}


sub _report_options {
    my ($self) = @_;

    my $option = $self->{option};

    return $self->_ok($self->options(map { "$_=$option->{$_}" }
                                     sort keys %$option), 'options');
}


# the record of a user as it is uploaded

sub _user_line {
    my ($self, $pin) = @_;

    my $u = $self->{users}{$pin};

    return "USER PIN=$pin\tName=$u->{name}\tPri=$u->{pri}\t"
           . "Passwd=$u->{passwd}\tCard=$u->{card}\tGrp=$u->{grp}\t"
           . "TZ=$u->{tz}"
           . ($self->{dialect} eq '2.4'
              ? "\tVerify=$u->{verify}\tViceCard=$u->{vicecard}" : '');
}


sub _template_line {
    my ($self, $pin, $name) = @_;

    my ($type, $no, $index, $version) = split m!/!, $name;
    my $t = $self->{templates}{$pin}{$name};
    my $size = length $t->{data};

    return "FP PIN=$pin\tFID=$no\tSize=$size\tValid=$t->{valid}"
           . "\tTMP=$t->{data}"
        if $t->{source} eq 'FINGERTMP';

    return "FACE PIN=$pin\tFID=$no\tSIZE=$size\tVALID=$t->{valid}"
           . "\tTMP=$t->{data}"
        if $t->{source} eq 'FACE';

    return "FVEIN Pin=$pin\tFID=$no\tIndex=$index\tSize=$size"
           . "\tValid=$t->{valid}\tTmp=$t->{data}"
        if $t->{source} eq 'FVEIN';

    return "BIODATA Pin=$pin\tNo=$no\tIndex=$index\tValid=$t->{valid}"
           . "\tDuress=0\tType=$type\tMajorVer=$version\tMinorVer=0\tFormat=0"
           . "\tTmp=$t->{data}";
}


sub _photo_line {
    my ($self, $pin, $kind) = @_;

    my $content = encode_base64($self->{photos}{$kind}{$pin}, '');
    my $size = length $content;

    return $kind eq 'USERPIC'
           ? "USERPIC PIN=$pin\tFileName=$pin.jpg\tSize=$size"
             . "\tContent=$content"
           : "BIOPHOTO PIN=$pin\tFileName=$pin.jpg\tType=9\tSize=$size"
             . "\tContent=$content";
}


# everything there is of a user, as many lines

sub _person_lines {
    my ($self, $pin) = @_;

    return ($self->_user_line($pin),
            (map { $self->_template_line($pin, $_) } $self->templates($pin)),
            map { $self->{photos}{$_}{$pin} ? $self->_photo_line($pin, $_)
                                            : () } qw/ USERPIC BIOPHOTO /);
}


sub _new_user {
    my ($self, $pin) = @_;

    return $self->{users}{$pin} ||= {
        pin => $pin, name => '', pri => 0, passwd => '', card => '',
        grp => 1, tz => '0000000000000000', verify => -1, vicecard => '',
    };
}


# Somebody enrols a person at the terminal.  Options: those of the record
# (name, pri, card, ...), fingers => { number => bytes }, bio =>
# { "type/no/index" => bytes }, photo, face (bytes of pictures).

sub keep {
    my ($self, $pin, %option) = @_;

    my ($fingers, $bio, $photo, $face)
        = delete @option{qw/ fingers bio photo face /};

    my $user = $self->_new_user($pin);
    %$user = (%$user, %option);

    $self->_keep_template('FINGERTMP', $pin, 1, $_, 0,
                          $self->{algorithms}{1}, $fingers->{$_})
        for keys %{$fingers || {}};

    for my $place (keys %{$bio || {}}) {
        my ($type, $no, $index) = split m!/!, $place;

        $self->_keep_template('BIODATA', $pin, $type, $no, $index,
                              $self->{algorithms}{$type}, $bio->{$place});
    }

    $self->{photos}{USERPIC}{$pin} = $photo if defined $photo;
    $self->{photos}{BIOPHOTO}{$pin} = $face if defined $face;

    return;
}


# the same, and it is uploaded

sub enroll {
    my ($self, $pin, %option) = @_;

    $self->keep($pin, %option);

    # the user's line comes again before each template
    my ($first, @rest) = $self->_person_lines($pin);

    return $self->_ok($self->operations($first, map { ($first, $_) } @rest),
                      'enrolment');
}


sub _keep_template {
    my ($self, $source, $pin, $type, $no, $index, $version, $bytes, %more)
        = @_;

    $self->{templates}{$pin}{"$type/$no/$index/$version"} = {
        source => $source, valid => 1, data => encode_base64($bytes, ''),
        %more,
    };

    return;
}


# all of its people, as after a change of the server

sub upload_people {
    my ($self) = @_;

    my @line = map { $self->_person_lines($_) } sort keys %{$self->{users}};

    return @line ? $self->_ok($self->operations(@line), 'people') : undef;
}


# A punch, uploaded at once.  Options: status, verify, withhold (kept, and
# uploaded only when its time is asked for).

sub punch {
    my ($self, $pin, $time, %option) = @_;

    my $punch = { pin => $pin, time => $time, status => 0, verify => 1,
                  %option };

    push @{$self->{punches}}, $punch;

    return if $option{withhold};

    return $self->_send_punches($punch);
}


# what has not been uploaded

sub upload_punches {
    my ($self) = @_;

    return $self->_send_punches(grep { !$_->{sent} && !$_->{withhold} }
                                @{$self->{punches}});
}


sub _send_punches {
    my ($self, @punch) = @_;

    return if !@punch;

    my $response = $self->punches(map {
        [ @$_{qw/ pin time status verify /}, 0, 0, 0 ] } @punch);

    $_->{sent} = 1 for $response->status == 200 ? @punch : ();

    return $response;
}


# Asks for commands, executes and answers them.  Returns the texts of the
# commands.

sub work {
    my ($self, @query) = @_;

    my $info = sprintf 'Ver%%20%s,%d,%d,%d,192.168.1.201,%d,7,15,0,111',
        $self->{dialect}, scalar keys %{$self->{users}},
        scalar(grep { m!^1/! } map { keys %$_ } values %{$self->{templates}}),
        scalar @{$self->{punches}}, $self->{algorithms}{1} || 0;

    # the terminal sends it again only when a count has changed
    unshift @query, "INFO=$info" if $info ne $self->{told};

    my $response = $self->_ok($self->poll(@query), 'poll');
    $self->{told} = $info;

    my @command = $self->read_commands($response->body);

    $self->answer(map { $self->execute(@$_) } @command) if @command;

    return map { $_->[1] } @command;
}


# polls until there are no more commands; returns how many there were

sub work_off {
    my ($self, $polls) = @_;

    my $n = 0;

    for (1 .. $polls || 50) {
        my @command = $self->work() or return $n;
        $n += @command;
    }

    croak "$self->{sn}: still commands after many polls: $self->{done}[-1]";
}


# the commands in the reply to a poll; dies when there is anything else

sub read_commands {
    my ($self, $body) = @_;

    return if $body eq 'OK';

    my @command;

    while ($body =~ s/\AC:([0-9]{1,9}):([^\r\n]+)\n//) {
        push @command, [ $1, $2 ];
    }

    croak "$self->{sn}: this is no command: $body" if $body ne '';

    return @command;
}


# Sends the answers of execute(): as many as possible in one body, which ends
# after an answer with a payload.

sub answer {
    my ($self, @answer) = @_;

    my ($body, @body) = '';
    my $n = 0;

    for my $a ((grep { !$_->{payload} } @answer),
               grep { $_->{payload} } @answer)
    {
        my $eol = $self->{eol};

        $eol = $n++ % 2 ? "\r\n" : "\n" if $eol eq 'mixed';

        $self->{returned}{$a->{id}} = $a->{return};
        $body .= $a->{payload} ? $a->{text} : $a->{text} =~ s/\n/$eol/gr;

        if ($a->{payload}) {
            push @body, $body;
            $body = '';
        }
    }

    for ($body eq '' ? @body : (@body, $body)) {
        if ($self->{lose} > 0) {
            $self->{lose}--;
            next;
        }

        $self->_ok($self->send('devicecmd', [], $_), 'answer');
    }

    if ($self->{reboot}) {
        $self->{reboot} = 0;
        $self->{reboots}++;
        $self->online();
    }

    return;
}


# fields of a command by their names in lower case

sub _fields {
    my ($text) = @_;

    return map { /^([^=]+)=(.*)/s ? (lc $1 => $2) : () } split /\t/, $text;
}


my @verbs = (
    [ 'DATA UPDATE ', \&_update_data ], [ 'DATA FP ', \&_put_finger ],
    [ 'DATA DELETE ', \&_delete_data ],
    [ 'DATA QUERY ', \&_query_data ], [ 'CLEAR ', \&_clear ],
    [ 'CHECK', \&_check ], [ 'LOG', \&_log ],
    [ 'VERIFY SUM ATTLOG ', \&_verify_sum ],
    [ 'SET OPTION ', \&_set_option ], [ 'RELOAD OPTIONS', \&_reload ],
    [ 'INFO', \&_info ], [ 'GetFile ', \&_get_file ],
    [ 'PutFile ', \&_put_file ], [ 'ENROLL_FP ', \&_enroll_finger ],
    [ 'ENROLL_BIO ', \&_enroll_bio ], [ 'ENROLL_MF ', \&_enroll_card ],
    [ 'REBOOT', \&_reboot ], [ 'AC_UNLOCK', \&_unlock ],
    [ 'AC_UNALARM', sub { (0, 'AC_UNALARM') } ], [ 'SHELL ', \&_shell ],
    [ 'UPGRADE ', \&_upgrade ],
    [ 'RESET ALL ', sub { (0, 'RESET') } ],
);


# Executes one command.  Returns the answer: { id, return, text, payload
# (whether the rest of the body belongs to it) }; nothing after a REBOOT, which
# makes the terminal forget.

sub execute {
    my ($self, $id, $text) = @_;

    return if $self->{reboot};

    push @{$self->{done}}, $text;
    $self->{got}{$id} = $text;

    my ($return, $cmd, %more) = (-22, $text =~ /^(\S+)/);

    if (grep { index($text, $_) == 0 } @{$self->{cannot}}) {
        $return = -1004;

    } else {
        for (@verbs) {
            my ($verb, $code) = @$_;

            next if index($text, $verb) != 0;
            next if $verb !~ / \z/ && $text ne $verb;

            ($return, $cmd, %more)
                = $code->($self, substr $text, length $verb);
            last;
        }
    }

    my $answer = { id => $id, return => $return };

    if (defined $more{content}) {
        $answer->{payload} = 1;
        $answer->{text} = "ID=$id\nSN=$self->{sn}\nFILENAME=$more{file}\n"
                          . "CMD=$cmd\nReturn=$return\n"
                          . "Content=$more{content}";

    } elsif ($more{lines}) {
        $answer->{text} = "ID=$id\nReturn=$return\nCMD=$cmd\n";

    } else {
        $answer->{text} = "ID=$id&Return=$return&CMD=$cmd"
                          . ($more{more} || '') . "\n" . ($more{block} || '');
    }

    return $answer;
}


sub _echo {
    my ($self, @line) = @_;

    $self->_ok($self->operations(@line), 'echo') if $self->{echoes};

    return;
}


sub _update_data {
    my ($self, $text) = @_;

    my ($table, $rest) = $text =~ /^(\S+) (.*)/s or return (-1, 'DATA');
    my %field = _fields($rest);

    $table = uc $table;

    if ($table eq 'USERINFO') {
        my $name = $field{name};

        return (-1, 'DATA') if !defined $field{pin} || $field{pin} eq '';

        # fields that the command leaves out are lost
        delete $self->{users}{$field{pin}};

        my $user = $self->_new_user($field{pin});

        $field{verify} = $field{verifymode} if defined $field{verifymode};
        defined $field{$_} and $user->{$_} = $field{$_} for keys %$user;
        $user->{name} = substr $user->{name}, 0, $self->{name_bytes}
            if $self->{name_bytes};

        $self->_echo($self->_user_line($field{pin}));

        return (0, 'DATA');
    }

    if ($legacy{$table} || $table eq 'BIODATA') {
        my $data = $field{tmp};
        my $bytes = decode_base64($data);
        my $type = $table eq 'BIODATA' ? $field{type} : $legacy{$table};
        my $mine = $self->{algorithms}{$type} || 0;

        return (-10, 'DATA') if !$self->{users}{$field{pin}};
        return (-9, 'DATA')
            if defined $field{size} && $field{size} != length $data;

        my $version = $table eq 'BIODATA' ? $field{majorver}
                    : $table eq 'FINGERTMP' ? ($data =~ /^oco/ ? 9 : 10)
                    : $mine;

        return (-30, 'DATA') if $version != $mine;

        my @place = ($type, defined $field{fid} ? $field{fid} : $field{no},
                     $field{index} || 0, $version);

        $self->_keep_template($table, $field{pin}, @place, $bytes,
                              valid => $field{valid});
        $self->_echo($self->_user_line($field{pin}),
                     $self->_template_line($field{pin}, join '/', @place));

        return (0, 'DATA');
    }

    if ($table eq 'USERPIC' || $table eq 'BIOPHOTO') {
        return (-2, 'DATA') if $field{size} != length $field{content};

        my $content = decode_base64($field{content});

        if ($field{url}) {
            $content = $self->_download($field{url});
            return (-1008, 'DATA') if !defined $content;
        }

        $self->{photos}{$table}{$field{pin}} = $content;
        $self->_echo($self->_photo_line($field{pin}, $table));

        return (0, 'DATA');
    }

    $self->{tables}{$table}{$self->_key($table, $rest, \%field)} = \%field;

    return (0, 'DATA');
}


sub _key {
    my ($self, $table, $rest, $field) = @_;

    my $names = $key{$table} || [ $rest =~ /^([^=]+)=/ ? lc $1 : '' ];

    return join '/', map { defined $field->{$_} ? $field->{$_} : '' } @$names;
}


# whether the number that the user asked for is this one

sub _is {
    my ($asked, $value) = @_;

    return !defined $asked || $asked eq $value;
}


sub _delete_data {
    my ($self, $text) = @_;

    my ($table, $rest) = $text =~ /^(\S+) ?(.*)/s;
    my %field = _fields($rest);
    my ($users, $templates, $photos) = @$self{qw/ users templates photos /};

    $table = uc $table;

    if ($table eq 'USERINFO') {
        return (-10, 'DATA') if defined $field{pin} && !$users->{$field{pin}};

        for my $pin (defined $field{pin} ? $field{pin} : keys %$users) {
            delete $users->{$pin};
            delete $templates->{$pin};
            delete $photos->{$_}{$pin} for keys %$photos;
        }

    } elsif ($legacy{$table} || $table eq 'BIODATA') {
        my $type = $legacy{$table} || $field{type};
        my $no = defined $field{fid} ? $field{fid} : $field{no};

        for my $pin (defined $field{pin} ? $field{pin} : keys %$templates) {
            for my $name ($self->templates($pin)) {
                my @place = split m!/!, $name;

                delete $templates->{$pin}{$name}
                    if _is($type, $place[0]) && _is($no, $place[1]);
            }
        }

    } elsif ($table eq 'USERPIC' || $table eq 'BIOPHOTO') {
        delete $photos->{$table}{$field{pin}};

    } else {
        my $rows = $self->{tables}{$table} || {};

        for my $key (keys %$rows) {
            delete $rows->{$key}
                if !grep { !_is($field{$_}, $rows->{$key}{$_}) } keys %field;
        }
    }

    return (0, 'DATA');
}


# punches of a range of time; 3.2 puts a T between date and time

sub _between {
    my ($self, $text) = @_;

    my %field = _fields($text);
    my ($starts, $ends) = map { $field{$_} =~ s/T/ /r } qw/ starttime
                                                            endtime /;

    return grep { $_->{time} ge $starts && $_->{time} le $ends }
           @{$self->{punches}};
}


# uploads the results like other records; the answer only counts them

sub _query_data {
    my ($self, $text) = @_;

    my ($table, $rest) = $text =~ /^(\S+) ?(.*)/s;
    my %field = _fields($rest);
    my @line;

    if ($table eq 'ATTLOG') {
        my @punch = $self->_between($rest);

        $self->_send_punches(@punch);

        return (scalar @punch, 'DATA');
    }

    for my $pin (grep { _is($field{pin}, $_) } sort keys %{$self->{users}}) {

        if ($table eq 'USERINFO') {
            push @line, $self->_user_line($pin);
            next;
        }

        my $no = $table eq 'BIODATA' ? $field{no}
               : defined $field{fid} ? $field{fid} : $field{fingerid};

        for my $name ($self->templates($pin)) {
            my @place = split m!/!, $name;

            push @line, $self->_template_line($pin, $name)
                if _is($legacy{$table} || $field{type}, $place[0])
                   && _is($no, $place[1]);
        }
    }

    return (-4, 'DATA') if !@line && defined $field{pin};

    $self->_ok($self->operations(@line), 'result of a query') if @line;

    return (scalar @line, 'DATA');
}


sub _clear {
    my ($self, $what) = @_;

    if ($what eq 'LOG') {
        $self->{punches} = [];

    } elsif ($what eq 'DATA') {
        $self->{$_} = {} for qw/ users templates photos tables /;
        $self->{punches} = [];

    } elsif ($what eq 'BIODATA') {
        for my $set (values %{$self->{templates}}) {
            delete @$set{grep { $set->{$_}{source} eq 'BIODATA' } keys %$set};
        }

    } elsif ($what eq 'ALL USERINFO') {
        $self->{$_} = {} for qw/ users templates photos /;

    } elsif ($what eq 'ALL BELL') {
        $self->{tables}{BELL} = {};
    }

    return (0, 'CLEAR_' . $what =~ s/ /_/gr);
}


# reads its stamps again; at 0 it uploads everything again

sub _check {
    my ($self) = @_;

    my $reply = $self->_ok($self->handshake(), 'handshake')->body;

    if ($reply =~ /^ATTLOGStamp=0$/m) {
        delete $_->{sent} for @{$self->{punches}};
    }

    $self->_log();

    return (0, 'CHECK');
}


sub _log {
    my ($self) = @_;

    $self->upload_punches();

    return (0, 'LOG');
}


sub _verify_sum {
    my ($self, $text) = @_;

    my %field = _fields($text);

    return (0, 'VERIFY SUM',
            more => "&StartTime=$field{starttime}&EndTime=$field{endtime}"
                    . "&$self->{count_name}=" . $self->_between($text));
}


sub _set_option {
    my ($self, $text) = @_;

    my ($name, $value) = $text =~ /^([^=]+)=(.*)/ or return (-1, 'SET OPTION');

    $self->{option}{$name} = $value;

    return (0, 'SET OPTION');
}


sub _reload {
    my ($self) = @_;

    $self->_report_options();

    return (0, 'RELOAD OPTIONS');
}


sub _info {
    my ($self) = @_;

    my %all = (%{$self->{option}}, UserCount => scalar keys %{$self->{users}},
               TransactionCount => scalar @{$self->{punches}});

    return (0, 'INFO', block => join '', map { "$_=$all{$_}\n" }
                                         sort keys %all);
}


sub _get_file {
    my ($self, $path) = @_;

    my $content = $self->{files}{$path};

    return (-3, 'GetFile') if !defined $content;

    return (length $content, 'GetFile', content => $content,
            file => $path =~ s!.*/!!r);
}


# Loads a file in pieces.  Returns undef if it cannot.

sub _download {
    my ($self, $url) = @_;

    # an address of the server, whatever it is called there
    my $uri = $url =~ m!^https?://[^/]+(/.*)! ? $1 : "$self->{path}/$url";
    my ($content, $total) = ('', undef);

    do {
        my $from = length $content;
        my $c = Test::IClock::HTTP->new(map { $_ => $self->{$_} }
                                        qw/ host port tls timeout /);
        my $r = $c->request(Test::IClock::HTTP::format_request('GET', $uri,
                    undef, Range => sprintf 'bytes=%d-%d', $from,
                                            $from + PIECE - 1));
        $c->close();

        return undef
            if !$r || $r->status != 206 || $r->truncated
               || $r->header('content-range') !~ m!^bytes $from-\d+/(\d+)$!;

        $total = $1;
        $content .= $r->body;
        $self->{pieces}++;
    } while length $content < $total;

    return $content;
}


# the old form of DATA UPDATE FINGERTMP

sub _put_finger {
    my ($self, $text) = @_;

    return $self->_update_data("FINGERTMP $text");
}


sub _put_file {
    my ($self, $text) = @_;

    # in SDK 3.2.0 a space separates them
    my ($url, $path, $more) = $text =~ /^([^ \t]*)(?:[ \t]([^\t]*))?(.*)/s;
    my %field = _fields($more);
    my $content = $self->_download($url);

    return (-1008, 'PutFile', lines => 1) if !defined $content;

    $path = $url =~ s!.*/!!r if !defined $path;
    $self->{files}{$path} = $content;

    return (length $content, 'PutFile', lines => 1) if !$field{action};

    my @record = split /\n/, $content;

    if ($field{action} eq 'SyncData') {
        return (-1, 'PutFile', lines => 1)
            if $field{recordcount} != @record;

        # these replace all that it had
        $self->{users} = {};
        $self->{templates} = {};
    }

    for (@record) {
        my ($return) = $self->_update_data($_);

        return ($return, 'PutFile', lines => 1) if $return < 0;
    }

    return (scalar @record, 'PutFile', lines => 1);
}


# somebody puts a finger on it

sub _enroll_template {
    my ($self, $cmd, $source, $field, $type, $no) = @_;

    my $version = $self->{algorithms}{$type} or return (-1002, $cmd);
    my $pin = $field->{pin};

    return (2, $cmd)
        if !$field->{overwrite}
           && $self->{templates}{$pin}{"$type/$no/0/$version"};

    $self->_new_user($pin);
    $self->_keep_template($source, $pin, $type, $no, 0, $version,
                          "template of $self->{sn} $pin $type $no");
    $self->_ok($self->operations($self->_user_line($pin),
                   $self->_template_line($pin, "$type/$no/0/$version")),
               $cmd);

    return (0, $cmd);
}


sub _enroll_finger {
    my ($self, $text) = @_;

    my %field = _fields($text);

    $field{overwrite} = 0 if $field{overwrite} == 2;

    return $self->_enroll_template('ENROLL_FP', 'FINGERTMP', \%field, 1,
                                   $field{fid});
}


sub _enroll_bio {
    my ($self, $text) = @_;

    my %field = _fields($text);

    return $self->_enroll_template('ENROLL_BIO', 'BIODATA', \%field,
                                   $field{type}, 0);
}


sub _enroll_card {
    my ($self, $text) = @_;

    my %field = _fields($text);

    $self->_new_user($field{pin})->{card} = 4711;
    $self->_ok($self->operations($self->_user_line($field{pin})),
               'ENROLL_MF');

    return (0, 'ENROLL_MF');
}


sub _reboot {
    my ($self) = @_;

    $self->{reboot} = 1;

    return (0, 'REBOOT');
}


sub _unlock {
    my ($self) = @_;

    $self->{opened}++;

    return (0, 'AC_UNLOCK');
}


sub _shell {
    my ($self, $command) = @_;

    return (0, 'Shell', content => $self->{shell}->($command),
            file => 'shellout.txt');
}


# The file comes as base64 without type=1.

sub _upgrade {
    my ($self, $text) = @_;

    my %field = map { /^(\w+)=(.*)/ ? ($1 => $2) : () } split /,/, $text;

    my $r = $self->send('file', ["url=$field{url}"]);

    return (-1008, 'UPGRADE') if $r->status != 200;

    my $content = $field{type} ? $r->body : decode_base64($r->body);

    return (-2, 'UPGRADE') if length $content != $field{size};
    return (-6, 'UPGRADE') if md5_hex($content) ne $field{checksum};

    $self->{firmware} = $content;

    return (0, 'UPGRADE');
}


1;
