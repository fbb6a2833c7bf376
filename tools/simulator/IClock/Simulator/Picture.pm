package IClock::Simulator::Picture;

# Copyright (C) the ngx_http_iclock_module authors

# A picture of somebody, as JPEG: head and shoulders in squares of one grey
# each, so that no block has more than its mean to encode.

use strict;
use warnings;

use constant { WIDTH => 12, HEIGHT => 15 };

# lengths of the standard's codes for differences of means, by their size
my @length = (2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9);
my @code;

{
    my ($code, $before) = (0, 2);

    for my $size (0 .. $#length) {
        $code <<= $length[$size] - $before;
        $before = $length[$size];
        $code[$size] = sprintf '%0*b', $length[$size], $code++;
    }
}


# Options: seed, who it is; bytes, how large it is at least.

sub jpeg {
    my (%option) = @_;

    my $seed = $option{seed} || 0;
    my ($bits, $last) = ('', 0);

    for my $y (0 .. HEIGHT - 1) {
        for my $x (0 .. WIDTH - 1) {
            my $mean = shade($seed, $x, $y) - 128;

            $bits .= difference($mean - $last) . '0';
            $last = $mean;
        }
    }

    $bits .= '1' x (-length($bits) % 8);

    # a byte of ones is followed by an empty one
    my $scan = pack('B*', $bits) =~ s/\xff/\xff\0/gr;

    my $head = "\xff\xd8" . segment(0xe0, "JFIF\0\1\1\0\0\1\0\1\0\0");
    my $rest = segment(0xdb, "\0" . "\x08" x 64)
        . segment(0xc0, pack 'CnnCCCC', 8, 8 * HEIGHT, 8 * WIDTH, 1, 1, 0x11,
                        0)
        . segment(0xc4, "\0" . pack 'C16C12', 0, 1, 5, 1, 1, 1, 1, 1, 1,
                        (0) x 7, 0 .. 11)
        . segment(0xc4, "\x10" . pack 'C16C', 1, (0) x 15, 0)
        . segment(0xda, "\1\1\0\0\x3f\0") . $scan . "\xff\xd9";

    my $missing = ($option{bytes} || 0) - length($head) - length $rest;

    # cameras make larger pictures than this
    while ($missing > 4) {
        my $n = $missing > 60_000 ? 60_000 : $missing;

        $head .= segment(0xfe, 'x' x ($n - 4));
        $missing -= $n;
    }

    return $head . $rest;
}


sub segment {
    my ($marker, $content) = @_;

    return pack('CCn', 0xff, $marker, 2 + length $content) . $content;
}


sub difference {
    my ($value) = @_;

    my $size = 0;

    $size++ while abs $value >= 1 << $size;

    my $bits = $value < 0 ? $value + (1 << $size) - 1 : $value;

    return $code[$size] . ($size ? sprintf '%0*b', $size, $bits : '');
}


# grey of a square, 0 to 255

sub shade {
    my ($seed, $x, $y) = @_;

    my ($dx, $dy) = (($x - 5.5) / 3.4, ($y - 5.5) / 4.2);
    my $head = $dx * $dx + $dy * $dy;
    my $hair = $y < 3 + $seed % 3;

    return 40 + 13 * ($seed % 5) if $head < 1.25 && $hair;
    return 60 if $head < 1 && $y == 5 && ($x == 4 || $x == 7);
    return 90 if $head < 1 && $y == 8 && ($x == 5 || $x == 6);
    return 190 - 9 * ($seed % 7) if $head < 1 || $y > 8 && $y < 11
                                                && $x > 4 && $x < 7;
    return 70 + 17 * ($seed % 6) if $y > 10 && abs($x - 5.5) < $y - 7;

    return 225;
}


1;
