
# Copyright (C) the ngx_http_iclock_module authors
#
# make run        try it: database, nginx and a terminal session in build/run
# make test       every test; installs what it needs
# make build      build/ngx_http_iclock_module.so for the installed nginx
#
# NGINX_SRC=dir   build for this nginx source tree instead
# NGINX_CONF=...  further options for its configure
# ICLOCK_DATABASE=conninfo, ONCE=1    see tools/run


SHELL =		/bin/bash

NAME =		ngx_http_iclock_module
ROOT :=		$(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
BUILD =		$(ROOT)/build
JOBS :=		$(shell nproc 2>/dev/null || echo 1)

MODULE =	$(BUILD)/$(NAME).so

# a source tree has its own objects, so that going to and fro is cheap
OBJS =		$(BUILD)/objs$(if $(NGINX_SRC),-$(subst /,_,$(abspath $(NGINX_SRC))))

# nginx compiles with -W -Wall -Wno-unused-parameter; these come on top.
# Only the module is compiled here: nginx itself is not built.
WARN =		-Wextra -Wno-unused-parameter -Wmissing-prototypes \
		-Wstrict-prototypes -Wvla -Werror

# what make -j was given, or else every processor
PARALLEL =	$(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

SOURCES =	$(sort $(wildcard $(ROOT)/src/*/*.c))
HEADERS =	$(sort $(wildcard $(ROOT)/src/*/*.h))


.PHONY:		all build run test bench fuzz sanitize lint install clean deps \
		nginx-src unit FORCE

all:		build


# build

ifeq ($(NGINX_SRC),)
PREPARE =	$(ROOT)/tools/configure debian
else
PREPARE =	$(ROOT)/tools/configure '$(abspath $(NGINX_SRC))'
endif

build:		$(OBJS)/configured
	@cd "$$(cat $(OBJS)/configured)" && \
	    flags=$$(sed -n 's/^CFLAGS = *//p' $(OBJS)/Makefile) && \
	    $(MAKE) $(PARALLEL) --no-print-directory -s -f $(OBJS)/Makefile \
	        CFLAGS="$$flags $(WARN) $(CFLAGS_EXTRA)" modules
	@cmp -s $(OBJS)/$(NAME).so $(MODULE) || { \
	    mkdir -p $(dir $(MODULE)) && \
	    cp $(OBJS)/$(NAME).so $(MODULE).new && \
	    mv -f $(MODULE).new $(MODULE) && \
	    echo "built $(MODULE:$(ROOT)/%=%)"; }

# configure anew when a file comes or goes, or the way to configure changes
$(OBJS)/files:	FORCE
	@mkdir -p $(OBJS)
	@printf '%s\n' $(SOURCES) $(HEADERS) '$(NGINX_CONF)' > $@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv -f $@.new $@

$(OBJS)/configured: config tools/configure $(OBJS)/files
	@$(PREPARE) $(ROOT) $(OBJS) $(NGINX_CONF)

FORCE:
