# Copyright (C) the ngx_http_iclock_module authors
#
# What t/alloc.t needs, made in the tree and with the Makefile of nginx that
# the module is made with; see "alloc" in the Makefile of the project.

ALLOC_SRC =	$(ROOT)/t/alloc/fail.c
ALLOC_NAME =	ngx_http_iclock_module.so

# the functions that fail.c has
ALLOC_WRAP :=	$(shell sed -n 's/^fail_wrap.\([a-z_]*\),.*/-Wl,--wrap=\1/p' \
		    $(ALLOC_SRC))

# the objects and the libraries of the module
ALLOC_LINK :=	$(shell sed -n '/LINK. .*$(ALLOC_NAME)/,/^$$/p' \
		    $(OBJS)/Makefile | sed '1d; s/ *\\$$//')

.PHONY:		alloc

alloc:		$(ALLOC)/$(ALLOC_NAME) $(ALLOC)/fail.so

$(ALLOC)/fail.o: $(ALLOC_SRC)
	@mkdir -p $(ALLOC)
	cc -c -fPIC $(CFLAGS) $(EXTRA) $(ALL_INCS) -o $@ $(ALLOC_SRC)

$(ALLOC)/$(ALLOC_NAME): $(ALLOC)/fail.o $(OBJS)/$(ALLOC_NAME)
	cc $(EXTRA) -o $@ $(ALLOC)/fail.o $(ALLOC_WRAP) $(ALLOC_LINK)

$(ALLOC)/fail.so: $(ALLOC_SRC)
	@mkdir -p $(ALLOC)
	cc -shared -fPIC $(CFLAGS) -DFAIL_MALLOC $(ALL_INCS) -o $@ $(ALLOC_SRC)
