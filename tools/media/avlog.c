/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/media/avlog.h"

#include <libavformat/avformat.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "tools/media/url.h"

static void on_line(void *context, int level, const char *format, va_list args)
{
	if (level > AV_LOG_WARNING)
		return;
	char line[512], shown[512];
	int prefix = 1;
	av_log_format_line2(context, level, format, args, line, sizeof(line), &prefix);
	url_redact(line, shown, sizeof(shown));
	shown[strcspn(shown, "\n")] = 0;
	log_debug("ffmpeg says: %s", shown);
}

static void install(void)
{
	av_log_set_callback(on_line);
	avformat_network_init();
}

void avlog_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, install);
}
