# libslirp: Slirp::Slirp. Its pkg-config file wants glib's, which libslirp-dev does not bring and nothing here needs.
find_path(Slirp_INCLUDE_DIR libslirp.h PATH_SUFFIXES slirp)
find_library(Slirp_LIBRARY slirp)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Slirp REQUIRED_VARS Slirp_LIBRARY Slirp_INCLUDE_DIR)
if(Slirp_FOUND AND NOT TARGET Slirp::Slirp)
    add_library(Slirp::Slirp UNKNOWN IMPORTED)
    set_target_properties(Slirp::Slirp PROPERTIES IMPORTED_LOCATION ${Slirp_LIBRARY}
                          INTERFACE_INCLUDE_DIRECTORIES ${Slirp_INCLUDE_DIR})
endif()
mark_as_advanced(Slirp_INCLUDE_DIR Slirp_LIBRARY)
