#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ffprobe and ffmpeg judge the files that our boxes make: same streams, same packets, same frames, a seek that lands.

usage: playable.py REMUX MEDIA_DIR
"""
import os
import subprocess
import sys
import tempfile

REMUX, MEDIA = sys.argv[1:3]
QUIET = ['-nostdin', '-v', 'warning']

# name -> (ffmpeg's arguments that make the source, its suffix, extra arguments of remux)
PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=192x144:rate=25:duration=3']
TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate={}:duration=3']


def tone(rate):
    return [a.format(rate) for a in TONE]


CASES = {
    'street-h264': (None, '.mp4', []),
    'street-h265': (None, '.mp4', []),
    'h264-b-frames-aac': (PICTURE + tone(48000) + ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '25',
                                                   '-c:a', 'aac'], '.mp4', []),
    'h265-alaw': (PICTURE + tone(8000) + ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error',
                                          '-c:a', 'pcm_alaw', '-ar', '8000', '-ac', '1'], '.mov', []),
    'mjpeg-ulaw': (PICTURE + tone(8000) + ['-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-c:a', 'pcm_mulaw', '-ar', '8000',
                                           '-ac', '1'], '.mov', []),
    'aac-alone': (tone(44100) + ['-c:a', 'aac'], '.mp4', []),
    'h264-metadata': (PICTURE + ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50'], '.mp4', ['metadata']),
}


def run(*args):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    # G.711 in MP4 names no channel layout, as it does in QuickTime; text metadata has no decoder
    known = ('Guessed Channel Layout', 'Unsupported codec with id 0')
    complaints = [line for line in done.stderr.splitlines() if not line.startswith(known)]
    if done.returncode or complaints:
        raise AssertionError('%s\n%d: %s' % (' '.join(args), done.returncode, done.stderr))
    return done.stdout


def rows(text):
    return [[f.strip() for f in line.split(',')] for line in text.splitlines() if not line.startswith('#')]


def media_streams(path):
    out = run('ffprobe', '-v', 'warning', '-show_entries',
              'stream=index,codec_type,codec_name,codec_tag_string,width,height,sample_rate,channels', '-of', 'compact', path)
    return [line for line in out.splitlines() if 'codec_type=data' not in line]


def packets(path):
    """Packets with times and hashes, by stream, without the edit list of the source."""
    out = run('ffmpeg', *QUIET, '-ignore_editlist', '1', '-copyts', '-i', path, '-map', '0:v?', '-map', '0:a?', '-c', 'copy',
              '-f', 'framemd5', '-')
    by_stream = {}
    for stream, dts, pts, duration, size, digest in rows(out):
        by_stream.setdefault(stream, []).append((int(dts), int(pts), int(duration), int(size), digest))
    # the length of a last packet is a guess of the demuxer's
    for stream in by_stream.values():
        stream[-1] = stream[-1][:2] + stream[-1][3:]
    return by_stream


def frames(path, *seek):
    out = run('ffmpeg', *QUIET, *seek, '-i', path, '-map', '0:v?', '-fps_mode', 'passthrough',
              '-f', 'framemd5', '-')
    return [row[5] for row in rows(out)]


def tags(lines):
    return [line.replace('hev1', 'hvc1') for line in lines]


def judge(name, folder):
    args, suffix, extra = CASES[name]
    source = os.path.join(MEDIA, name + suffix)
    if args:
        source = os.path.join(folder, name + suffix)
        run('ffmpeg', '-nostdin', '-v', 'error', '-y', *args, source)
    made = os.path.join(folder, name + '.fragmented.mp4')
    print(name + ':', run(REMUX, source, made, *extra).strip())
    assert tags(media_streams(source)) == media_streams(made), (media_streams(source), media_streams(made))
    assert packets(source) == packets(made), 'packets differ'
    if not any('codec_type=video' in line for line in media_streams(made)):
        return
    whole = frames(source)
    assert whole == frames(made), 'frames differ'
    tail = frames(made, '-ss', '1.5')
    assert tail and tail == whole[-len(tail):] and len(tail) < len(whole), 'a seek does not land'
    with open(made, 'rb') as f:
        data = f.read()
    cut = os.path.join(folder, name + '.cut.mp4')
    with open(cut, 'wb') as f:
        f.write(data[:len(data) * 2 // 3])
    # What is left plays. Without `ignidx` ffmpeg looks at every moof before the first frame, and gives up at one that is cut.
    # The cut is complained about, so standard error is not looked at.
    out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'quiet', '-fflags', '+ignidx', '-i', cut, '-map', '0:v?', '-fps_mode',
                          'passthrough', '-f', 'framemd5', '-'], stdout=subprocess.PIPE, text=True, check=False).stdout
    start = [row[5] for row in rows(out)]
    # the last few may refer to the picture that the cut went through
    sound = len(start) - 8
    assert sound > len(whole) // 4 and start[:sound] == whole[:sound], 'a cut file does not play'


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in CASES:
            judge(name, folder)


main()
