
# Copyright (C) the ngx_http_iclock_module authors

# the console page, which tools/console-page puts together

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/ngx_http_iclock_console_page.h: \\
	`find $ngx_addon_dir/src/console/page -type f | LC_ALL=C sort \
	 | sed 's/$/ \\\\/'`
	$ngx_addon_dir/tools/console-page
	$ngx_addon_dir/tools/console-page \$@

END
