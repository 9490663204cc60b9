"""stub"""
def package_published(path):
    return None
