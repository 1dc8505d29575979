# cmake -DIN=profile.ini -DOUT=embedded.h -P EmbedFile.cmake
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
get_filename_component(name ${IN} NAME)
string(MAKE_C_IDENTIFIER ${name} id)
file(WRITE ${OUT} "/* Generated from profiles/${name}. */\nstatic const char embedded_${id}[] = {${bytes}0};\n")
