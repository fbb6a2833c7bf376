# Copyright (C) the ngx_http_iclock_module authors
#
# make unit       the tests of src/proto and of the parts of src/hook that do
#                 without events, under ASan and UBSan, without nginx
# UNITS=          only these: UNITS="attlog text" for unit_attlog.c, unit_text.c
#
# The Makefile of nginx's own objects comes from its configure; every pool
# allocation is a malloc, so that overruns inside of a pool are seen.


ROOT ?=		$(CURDIR)
BUILD ?=	$(ROOT)/build
UNIT =		$(BUILD)/unit
UNIT_NGINX =	$(BUILD)/nginx-src/nginx
UNIT_CC =	gcc

UNIT_SAN =	-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
		-fno-sanitize=nonnull-attribute,alignment \
		-fno-sanitize-recover=undefined -DNGX_DEBUG_PALLOC=1
UNIT_WARN =	-Wall -Wextra -Werror -Wno-unused-parameter \
		-Wmissing-prototypes -Wstrict-prototypes -Wvla
UNIT_INC =	-I$(UNIT_NGINX)/src/core -I$(UNIT_NGINX)/src/event \
		-I$(UNIT_NGINX)/src/os/unix -I$(UNIT)/nginx \
		-I$(ROOT)/src/proto -I$(ROOT)/src/hook -I$(ROOT)/t/unit \
		-DNGX_ICLOCK_STEP_LINES=1

UNIT_SRCS =	$(wildcard $(ROOT)/src/proto/*.c) \
		$(foreach file,addr sign text url, \
		    $(ROOT)/src/hook/iclock_hook_$(file).c) \
		$(wildcard $(ROOT)/t/unit/*.c)
UNIT_HDRS =	$(wildcard $(ROOT)/src/proto/*.h) \
		$(wildcard $(ROOT)/src/hook/*.h) \
		$(wildcard $(ROOT)/t/unit/*.h)

.PHONY:		unit unit-build

unit:
	@NGINX_SRC='$(NGINX_SRC)' $(ROOT)/tools/deps build
	@$(MAKE) --no-print-directory unit-build
	@prove --exec '' $(UNIT)/run :: $(UNITS)

unit-build:	$(UNIT)/run
	@:

$(UNIT)/run:	$(UNIT)/libnginx.a $(UNIT_SRCS) $(UNIT_HDRS)
	@$(UNIT_CC) $(UNIT_SAN) $(UNIT_WARN) $(UNIT_INC) -o $@ \
	    $(UNIT_SRCS) $(UNIT)/libnginx.a -larchive -lcurl -lcrypto \
	    -ldl -lpthread -lcrypt

$(UNIT)/libnginx.a: $(ROOT)/t/unit/unit.mk $(ROOT)/t/unit/libnginx \
		$(NGINX_TREE)
	@$(ROOT)/t/unit/libnginx $(UNIT_NGINX) $(UNIT) '$(UNIT_CC)' \
	    '$(UNIT_SAN)'
