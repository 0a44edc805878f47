{
  "targets": [
    {
      "target_name": "gradcampp",
      "sources": ["<!@(node -p \"Object.values(require('./native/sources.json')).flat().join(' ')\")"],
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
      "defines": ["NAPI_VERSION=8"],
      "cflags!": ["-O2"],
      "cflags": ["-O3", "-ffp-contract=off", "-Wno-psabi"],
      "cflags_cc!": ["-std=gnu++20"],
      "cflags_cc": ["-std=c++17"],
      "xcode_settings": {
        "GCC_OPTIMIZATION_LEVEL": "3",
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "OTHER_CFLAGS": ["-ffp-contract=off"],
        "MACOSX_DEPLOYMENT_TARGET": "11.0"
      },
      "msvs_settings": {
        "VCCLCompilerTool": {
          "FloatingPointModel": 0,
          "AdditionalOptions": ["/std:c++17", "/utf-8", "/O2"]
        }
      }
    }
  ]
}
