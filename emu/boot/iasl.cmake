# Compile OUT.aml from IN; warnings are errors. iasl always talks: what it says is shown only if it fails.
file(REMOVE ${OUT}.aml)
execute_process(COMMAND ${IASL} -we -vs -p ${OUT} ${IN} OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${said}")
endif()
