#!/usr/bin/env bash
# Makes the media of `headwater demo` in fixtures/demo: see README.md beside it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../fixtures/demo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

readonly loop_s=16 rate=30 gop=60
readonly font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf
[ -r "$font" ] || { echo "make.sh: $font is missing: apt-get install fonts-dejavu-core" >&2; exit 1; }

# One picture for both renditions, drawn at 960x540 and scaled: a clock of the
# loop, a bar that crosses once a second, a ball that shows dropped frames, and
# a lamp that lights with the beep.
picture() { # name of the rendition
    local text="drawtext=fontfile=$font:fontcolor"
    cat <<FILTER
gradients=s=960x540:r=$rate:d=$loop_s:c0=0x0b1d33:c1=0x12485c:x0=0:y0=0:x1=960:y1=540:nb_colors=2:seed=1:speed=0.00001[sky];
color=0xffffff@0.0:s=960x540:r=$rate:d=$loop_s,format=yuva420p,drawgrid=w=60:h=60:t=1:c=0x7fd4e8@0.35:replace=1[grid];
color=0x6fe3d2:s=160x8:r=$rate:d=$loop_s[bar];
color=0xffb454:s=44x44:r=$rate:d=$loop_s[ball];
smptehdbars=s=960x36:r=$rate:d=$loop_s[bars];
[sky][grid]overlay[a];
[a][bars]overlay=y=504[b];
[b][bar]overlay=x='mod(t\,1)*(W+w)-w':y=388[c];
[c][ball]overlay=x='(W-w)*(0.5-0.46*cos(2*PI*t/4))':y='420-90*abs(sin(PI*t))'[d];
[d]drawbox=x=872:y=40:w=48:h=48:c=0x1b3347:t=fill,
drawbox=x=872:y=40:w=48:h=48:c=0xff5d5d:t=fill:enable='lt(mod(t+0.001\,1)\,0.1)',
$text=white:fontsize=112:x=(w-text_w)/2:y=190:text='%{eif\:mod(t+0.001\,$loop_s)\:d\:2}.%{eif\:floor(mod(t+0.001\,1)*1000)\:d\:3}',
$text=0xbfe9f2:fontsize=34:x=40:y=44:text='headwater',
$text=0x8fb7c4:fontsize=24:x=40:y=92:text='$1  frame %{eif\:n\:d\:3}'
FILTER
}

video() { # width height bits-a-second file
    ffmpeg -v error -nostdin -y \
        -filter_complex "$(picture "$2p"),scale=$1:$2:flags=lanczos,format=yuv420p[v]" -map '[v]' \
        -frames:v $((loop_s * rate)) -c:v libx264 -preset slower -profile:v main -threads 1 \
        -b:v "$3" -maxrate "$3" -bufsize "$3" -bf 0 -g $gop -keyint_min $gop -sc_threshold 0 \
        -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv \
        -video_track_timescale 90000 -fflags +bitexact -flags:v +bitexact \
        -movflags +cmaf+frag_every_frame -f mp4 "$work/$4.mp4"
    python3 "$here/cut.py" "$work/$4.mp4" "$out/$4.cmfv" --chunk 6 --frames $((loop_s * rate))
}

video 960 540 480k video-540p
video 480 270 170k video-270p

# A quiet chord, so that a gap can be heard, and a beep a second. The signal
# repeats every 16 s, and three rounds are encoded. The frames kept
# are those of the second round, so that the last one leads into the first.
# ffmpeg's encoder is one frame late: frame 751 holds the samples from 16 s on.
ffmpeg -v error -nostdin -y -f lavfi -i "aevalsrc='0.012*(sin(2*PI*220*t)+sin(2*PI*277*t)+sin(2*PI*330*t))+(0.10*sin(2*PI*if(lt(mod(t,$loop_s),1),1320,880)*t)*pow(sin(PI*min(mod(t,1)/0.1,1)),2))':s=48000:d=$((3 * loop_s))" \
    -af 'pan=stereo|c0=c0|c1=c0' -c:a aac -b:a 64k -fflags +bitexact -flags:a +bitexact \
    -movflags +cmaf+frag_every_frame -f mp4 "$work/audio.mp4"
python3 "$here/cut.py" "$work/audio.mp4" "$out/audio.cmfa" --chunk 10 --skip 751 --frames 750

ls -l "$out"
